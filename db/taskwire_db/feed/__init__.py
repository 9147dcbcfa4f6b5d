"""Redis keys and feed: who is told that a task has moved, and how; nothing durable."""
