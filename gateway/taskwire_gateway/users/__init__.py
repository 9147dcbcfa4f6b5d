"""Users: who they are, and how they are created, changed and deleted."""
