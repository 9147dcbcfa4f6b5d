"""The example contracts and, beside them, the handlers that do their work."""
