"""Callers that are not Python: the real grpcurl, and an ordinary stub in Node."""
