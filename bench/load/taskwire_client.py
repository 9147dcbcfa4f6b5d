"""taskwire's client: grpc.aio on uvloop, one channel, a request id with every task."""

from __future__ import annotations

import argparse
import uuid

import grpc
from echo.v1 import echo_pb2, echo_pb2_grpc  # type: ignore[import-not-found]

from bench.load.measure import TEXT, drive, run
from taskwire.v1 import task_service_pb2, task_service_pb2_grpc


async def main(asked: argparse.Namespace) -> None:
    async with grpc.aio.insecure_channel(asked.address) as channel:
        await channel.channel_ready()
        tasks = task_service_pb2_grpc.TaskServiceStub(channel)
        echo = echo_pb2_grpc.EchoTasksStub(channel)
        message = echo_pb2.EchoRequest(text=TEXT)

        def request() -> task_service_pb2.SubmitTaskRequest:
            made = task_service_pb2.SubmitTaskRequest(request_id=str(uuid.uuid4()))
            made.input.Pack(message)
            return made

        async def single(number: int) -> None:
            await tasks.SubmitTask(request(), timeout=60)

        async def batch(number: int) -> None:
            requests = [request() for _ in range(asked.batch_size)]
            answer = await tasks.BatchSubmitTasks(
                task_service_pb2.BatchSubmitTasksRequest(requests=requests), timeout=60
            )
            assert len(answer.results) == asked.batch_size

        async def call(number: int) -> None:
            metadata = (("taskwire-request-id", str(uuid.uuid4())),)
            answer = await echo.Echo(message, metadata=metadata, timeout=60)
            assert answer.text == TEXT

        workload = {"single": single, "batch": batch, "call": call}[asked.workload]
        await drive(workload, calls=asked.calls, at_once=asked.at_once)


if __name__ == "__main__":
    run(main)
