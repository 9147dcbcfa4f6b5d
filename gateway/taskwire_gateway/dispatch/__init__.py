"""Handing queued tasks to the broker."""
