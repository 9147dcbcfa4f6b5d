"""The example handlers, called as their author would call them in a test."""
