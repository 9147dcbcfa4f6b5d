"""The wire: messages in, use cases, messages out; statuses and metadata."""
