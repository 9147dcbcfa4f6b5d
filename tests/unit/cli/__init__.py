"""The parts of the command line that talk to no server."""
