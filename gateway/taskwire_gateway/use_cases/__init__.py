"""What a caller can ask for, one file each, without gRPC."""
