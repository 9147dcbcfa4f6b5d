"""What do we remember? Models, statements, migrations, and the Redis feed. Knows no service."""
