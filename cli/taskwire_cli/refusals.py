"""What a command says and ends with when a server has refused what it asked for, or is not there.

Apart from exits.py, since the client loads gRPC, which `taskwire worker` has no use for.
"""

from __future__ import annotations

from taskwire.client import CallFailed, ClientError, Unreachable
from taskwire_cli.exits import Exit, Stop


def stop_for(error: ClientError, target: str) -> Stop:
    """The line and exit code for what a server at `target` answered, or did not."""
    if isinstance(error, Unreachable) and not error.reason:
        return Stop(
            f"no taskwire answers at {target} ({error.message}); start one with `taskwire dev`,"
            " or name another address with --address or TASKWIRE_LISTEN",
            Exit.UNREACHABLE,
        )
    if isinstance(error, CallFailed):
        code = Exit.UNREACHABLE if isinstance(error, Unreachable) else Exit.REFUSED
        return Stop(_refusal(error), code)
    return Stop(str(error), Exit.REFUSED)


def _refusal(error: CallFailed) -> str:
    name = " ".join(filter(None, [error.code.name, error.reason]))
    # The message itself speaks of the first one.
    if len(error.violations) < 2:
        return f"{error.message} ({name})"
    listed = "; ".join(f"{v.field}: {v.description}" for v in error.violations)
    return f"{error.message} ({name}): {listed}"
