"""The worker room with the real store: in one process, and under its supervisor."""
