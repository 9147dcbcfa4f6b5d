"""What every path that nobody serves is answered: UNIMPLEMENTED, with the near matches."""

from __future__ import annotations

import grpc

from taskwire_contracts import Contracts
from taskwire_core.errors import RequestError
from taskwire_core.failure import Code
from taskwire_gateway.rpc.calls import Call, Context


def unserved(path: str, contracts: Contracts) -> grpc.RpcMethodHandler[bytes, bytes]:
    """A handler that refuses any call of `path`, however many messages it would have sent."""
    name = path.removeprefix("/")[:200]

    async def refuse(_requests: object, context: Context) -> None:
        async with Call(context):
            raise _error(name, contracts.near(name))

    return grpc.stream_stream_rpc_method_handler(refuse)


def _error(name: str, near: list[str]) -> RequestError:
    hint = f"; did you mean {' or '.join(near)}?" if near else "; see the reflection service."
    return RequestError(
        "METHOD_NOT_SERVED",
        f"This server does not serve the method {name}{hint}",
        code=Code.UNIMPLEMENTED,
        metadata={"method": name, "near": ",".join(near)},
    )
