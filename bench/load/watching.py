"""A client that follows very many tasks: it says when all are open, and how many ends it saw.

It reads a line before each step, and prints one after it: the tasks are submitted, all watches
have shown their task, all have ended or a minute has passed. A watch that breaks is not resumed.
"""

from __future__ import annotations

import asyncio
import sys

import grpc
from benchmark.v1 import benchmark_pb2  # type: ignore[import-not-found]

from bench.load.measure import TEXT, run
from taskwire.v1 import task_pb2, task_service_pb2, task_service_pb2_grpc

CONNECTIONS, BATCH = 10, 500
PATIENCE_S = 120.0
_Stub = task_service_pb2_grpc.TaskServiceStub


async def _submitted(stub: _Stub, count: int) -> list[str]:
    request = task_service_pb2.SubmitTaskRequest()
    request.input.Pack(benchmark_pb2.EchoRequest(text=TEXT))
    ids: list[str] = []
    while len(ids) < count:
        batch = [request] * min(BATCH, count - len(ids))
        answer = await stub.BatchSubmitTasks(
            task_service_pb2.BatchSubmitTasksRequest(requests=batch), timeout=PATIENCE_S
        )
        ids += [result.ok.task.id for result in answer.results]
    return ids


async def main() -> None:
    address, count = sys.argv[1], int(sys.argv[2])
    # Each has a connection of its own.
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(CONNECTIONS)]
    stubs = [_Stub(channel) for channel in channels]
    shown, ended = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def follow(stub: _Stub, task_id: str) -> None:
        first = True
        async for change in stub.WatchTask(task_service_pb2.WatchTaskRequest(id=task_id)):
            if first:
                shown.release()
            first = False
            if change.task.state == task_pb2.TASK_STATE_SUCCEEDED:
                ended.release()

    await _told()
    ids = await _submitted(stubs[0], count)
    print("submitted", flush=True)
    await _told()
    watches = [
        asyncio.create_task(follow(stubs[number % CONNECTIONS], task_id))
        for number, task_id in enumerate(ids)
    ]
    await _as_many(shown, count)
    print("open", flush=True)
    await _told()
    print(await _as_many(ended, count), flush=True)
    for watch in watches:
        watch.cancel()
    await asyncio.gather(*watches, return_exceptions=True)


async def _told() -> None:
    await asyncio.to_thread(sys.stdin.readline)


async def _as_many(sign: asyncio.Semaphore, count: int) -> int:
    """How many signs came, `count` at most, in the time that there is."""
    seen = 0
    try:
        async with asyncio.timeout(PATIENCE_S):
            while seen < count:
                await sign.acquire()
                seen += 1
    except TimeoutError:
        pass
    return seen


if __name__ == "__main__":
    run(main)
