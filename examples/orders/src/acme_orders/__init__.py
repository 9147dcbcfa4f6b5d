"""The background work of Acme's shop."""
