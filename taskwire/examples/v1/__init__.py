"""The contract of the example tasks, generated from protos/taskwire/examples/v1."""
