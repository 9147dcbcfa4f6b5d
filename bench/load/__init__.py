"""The clients: each is a process of its own that prints what it saw as one line of JSON."""
