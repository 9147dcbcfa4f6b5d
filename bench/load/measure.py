"""What our clients share: so many at a time or so many a second, and what that took."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import uvloop

Call = Callable[[int], Awaitable[object]]
TEXT = "a text as long as that of most small tasks, with some fifty more characters behind"


def arguments(*kinds: str) -> argparse.Namespace:
    """The command line of a client process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("address")
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--per-second", type=float, default=0.0, help="instead of so many at once")
    return parser.parse_args()


async def drive(call: Call, asked: argparse.Namespace) -> None:
    """Make the calls, and print what it took."""
    seconds: list[float] = []

    async def timed(number: int, since: float) -> None:
        await call(number)
        seconds.append(time.monotonic() - since)

    numbers = iter(range(asked.calls))

    async def one_after_the_other() -> None:
        for number in numbers:
            await timed(number, time.monotonic())

    async def when_it_is_time(number: int, due: float) -> None:
        # Who comes late has waited since it was due: a server that stalls is not let off.
        await asyncio.sleep(due - time.monotonic())
        await timed(number, due)

    first, began = time.time(), time.monotonic()
    if asked.per_second:
        due = [began + number / asked.per_second for number in range(asked.calls)]
        await asyncio.gather(*(when_it_is_time(number, at) for number, at in enumerate(due)))
    else:
        await asyncio.gather(*(one_after_the_other() for _ in range(asked.at_once)))
    print(json.dumps({"first": first, "answered": time.time(), "seconds": seconds}))


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a client's main on uvloop."""

    async def body() -> None:
        await main()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(body())
