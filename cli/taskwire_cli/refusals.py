"""What a command says and ends with when a server has refused what it asked for, or is not there.

Apart from exits.py, since the client loads gRPC, which `taskwire worker` has no use for.
"""

from __future__ import annotations

import grpc

from taskwire.client import CallFailed, ClientError, Unreachable
from taskwire_cli.exits import Exit, Stop


def stop_for(error: ClientError, target: str) -> Stop:
    """The line and exit code for what a server at `target` answered, or did not."""
    if isinstance(error, Unreachable) and not error.reason:
        # What a call says whose time was over names the address itself.
        silent = error.code is grpc.StatusCode.DEADLINE_EXCEEDED
        what = error.message if silent else f"no taskwire answers at {target} ({error.message})"
        return Stop(
            f"{what}; start one with `taskwire dev`, or name another address with --address or"
            " TASKWIRE_LISTEN",
            Exit.UNREACHABLE,
        )
    if isinstance(error, CallFailed):
        code = Exit.UNREACHABLE if isinstance(error, Unreachable) else Exit.REFUSED
        return Stop(_sentence(error), code, _violations(error))
    return Stop(str(error), Exit.REFUSED)


def _sentence(error: CallFailed) -> str:
    name = " ".join(filter(None, [error.code.name, error.reason]))
    # People see no details of a status, but the violations themselves.
    message = error.message.replace("the fields that the details name", "what is named here")
    if len(error.violations) > 1:
        # The message itself speaks of the first one and counts the others, which are listed.
        message = message.partition(f" {error.violations[0].field}: ")[0]
    return f"{message} ({name})"


def _violations(error: CallFailed) -> list[str]:
    if len(error.violations) < 2:
        return []
    listed = [": ".join(filter(None, [v.field, v.description])) for v in error.violations]
    omitted = error.metadata.get("omittedViolations")
    return [*listed, f"and {omitted} more"] if omitted else listed
