"""How a request comes in: the gRPC services, their use cases and the keeper."""
