"""What is measured: each starts its own services on empty data, over servers that all share."""
