"""Thousands of watchers in one process, which go on as `taskwire.client` does when they are cut.

`python -m tests.chaos.watchers PLAN` reads a plan (JSON), follows each of its tasks to the end,
writes what it is shown into the history, and then ends. It shares the client's rules but not its
threads, of which each watch there has one.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

import grpc
import msgspec

from taskwire.client.broken import Broken, broken_by
from taskwire.client.connection import CHANNEL_OPTIONS
from taskwire.client.one_stream import FINAL_REASONS, SILENT_INTERVALS
from taskwire.client.watching import Cursor
from taskwire.v1 import task_service_pb2 as pb
from taskwire.v1 import task_service_pb2_grpc
from tests.chaos.answers import told
from tests.chaos.history import Record, line_of
from tests.chaos.recorder import now
from tests.chaos.records import Resumed, Seen, Watch, WatchEnd


class Plan(msgspec.Struct, frozen=True):
    """What a process of watchers is to do."""

    address: str
    history: str
    task_ids: list[str]
    first_number: int
    """Of its watches in the history; nobody else has this one or a larger one."""
    connections: int
    heartbeat_s: float = 30.0


class Watchers:
    """All watches of one process, over a few connections; made on the event loop."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        # A connection of its own: otherwise all channels to one address share one.
        options = [*CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
        self._channels = [
            grpc.aio.insecure_channel(plan.address, options=options)
            for _ in range(plan.connections)
        ]
        self._file = os.open(plan.history, os.O_WRONLY | os.O_APPEND)

    async def run(self) -> None:
        """Follow every task to its end."""
        try:
            async with asyncio.TaskGroup() as group:
                for position, task_id in enumerate(self._plan.task_ids):
                    group.create_task(self._follow(position, task_id))
        finally:
            for channel in self._channels:
                await channel.close()

    async def _follow(self, position: int, task_id: str) -> None:
        number = self._plan.first_number + position
        channel = self._channels[position % len(self._channels)]
        stub = task_service_pb2_grpc.TaskServiceStub(channel)
        self._write(Watch(now(), number, (task_id,)))
        cursor = Cursor(after_version=0)
        while True:
            request = pb.WatchTaskRequest(id=task_id, after_version=cursor.version)
            request.heartbeat_interval.FromTimedelta(timedelta(seconds=self._plan.heartbeat_s))
            found = await self._one_stream(number, stub.WatchTask(request), cursor)
            if not isinstance(found, Broken):
                break
            if cursor.task_ended:
                found = "TERMINAL"
                break
            pause_s = cursor.pause_s(found)
            self._write(Resumed(now(), number, found.text))
            await asyncio.sleep(pause_s)
        self._write(WatchEnd(now(), number, "OK", found))

    async def _one_stream(
        self,
        number: int,
        # In quotes: this class takes type arguments in its stubs only.
        call: grpc.aio.UnaryStreamCall[pb.WatchTaskRequest, pb.WatchTaskResponse],
        cursor: Cursor,
    ) -> Broken | str:
        """Why the watch is over, or what broke this stream."""
        silence_s = self._plan.heartbeat_s * SILENT_INTERVALS
        try:
            while True:
                async with asyncio.timeout(silence_s):
                    event = await call.read()
                if not isinstance(event, pb.WatchTaskResponse):
                    return Broken("the stream ended too early")
                if event.HasField("closed") and event.closed.reason not in FINAL_REASONS:
                    return Broken("the server is about to end the stream")
                cursor.note(event)
                if event.HasField("task"):
                    self._see(number, event)
                if event.HasField("closed"):
                    return pb.Closed.Reason.Name(event.closed.reason).removeprefix("REASON_")
        except TimeoutError:
            return Broken("the stream was silent")
        except grpc.aio.AioRpcError as error:
            return broken_by(error)
        finally:
            call.cancel()

    def _see(self, number: int, event: pb.WatchTaskResponse) -> None:
        shown = told(event.task)
        self._write(Seen(now(), number, shown.task_id, shown.version, shown.state, shown.result))

    def _write(self, record: Record) -> None:
        os.write(self._file, line_of(record))


async def main(plan: Plan) -> None:
    """Do what a plan says."""
    await Watchers(plan).run()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)))
