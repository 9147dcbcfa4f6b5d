"""What a person types: the taskwire command."""
