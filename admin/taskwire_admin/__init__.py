"""The admin port: health, metrics and exceptions of one service, for those who operate it."""
