"""The command line against a real embedded server."""
