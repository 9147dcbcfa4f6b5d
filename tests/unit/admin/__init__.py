"""The worker room, without servers: fakes stand for the store and the broker."""
