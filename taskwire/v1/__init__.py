"""The public contract: modules that hatch_build.py generates from protos/taskwire/v1."""
