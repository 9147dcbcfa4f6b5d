"""The database as ports of single use cases: each file is one side of it."""
