"""The bound above any gateway of grpc.aio: it parses the message of SubmitTask and sends it back.

Started with taskwire's own Python and on its event loop, `python -m bench.baseline.bare_echo PORT`,
so that what the gateway adds is all the difference.
"""

from __future__ import annotations

import asyncio
import sys

import grpc
import uvloop

from taskwire.v1.task_service_pb2 import SubmitTaskRequest


async def _echo(
    request: SubmitTaskRequest,
    context: grpc.aio.ServicerContext[SubmitTaskRequest, SubmitTaskRequest],
) -> SubmitTaskRequest:
    return request


async def main(address: str) -> None:
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        _echo,
        request_deserializer=SubmitTaskRequest.FromString,
        response_serializer=SubmitTaskRequest.SerializeToString,
    )
    methods = grpc.method_handlers_generic_handler(
        "taskwire.v1.TaskService", {"SubmitTask": handler}
    )
    server.add_generic_rpc_handlers((methods,))
    server.add_insecure_port(address)
    await server.start()
    print("serving", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1]))
