"""taskwire's client: it is told of the end, by a durable call's answer or by a watch.

grpc.aio on uvloop, one channel, a request id with every task.
"""

from __future__ import annotations

import uuid

import grpc
from benchmark.v1 import benchmark_pb2, benchmark_pb2_grpc  # type: ignore[import-not-found]

from bench.load.measure import TEXT, arguments, drive, run
from taskwire.v1 import task_pb2, task_service_pb2, task_service_pb2_grpc


async def main() -> None:
    asked = arguments("call", "push")
    async with grpc.aio.insecure_channel(asked.address) as channel:
        await channel.channel_ready()
        tasks = task_service_pb2_grpc.TaskServiceStub(channel)
        echo = benchmark_pb2_grpc.BenchmarkTasksStub(channel)
        message = benchmark_pb2.EchoRequest(text=TEXT)

        async def call(number: int) -> None:
            metadata = (("taskwire-request-id", str(uuid.uuid4())),)
            answer = await echo.Echo(message, metadata=metadata, timeout=60)
            assert answer.text == TEXT

        async def push(number: int) -> None:
            request = task_service_pb2.SubmitTaskRequest(request_id=str(uuid.uuid4()))
            request.input.Pack(message)
            task = (await tasks.SubmitTask(request, timeout=60)).task
            watch = task_service_pb2.WatchTaskRequest(id=task.id, after_version=task.version)
            async for change in tasks.WatchTask(watch, timeout=60):
                if change.task.state == task_pb2.TASK_STATE_SUCCEEDED:
                    return
            raise AssertionError(f"{task.id} did not end")

        await drive({"call": call, "push": push}[asked.kind], asked)


if __name__ == "__main__":
    run(main)
