"""What other people's programs import: the decorator, the context, the errors and the client."""
