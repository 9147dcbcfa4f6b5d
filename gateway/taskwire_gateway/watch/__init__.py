"""Following tasks until they have ended."""
