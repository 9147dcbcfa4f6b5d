"""The leader's sweeps: what must happen although nobody asks for it."""
