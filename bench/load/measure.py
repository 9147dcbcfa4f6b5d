"""What both clients share: so many at a time, until all are done, and what that took."""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import time
from collections.abc import Awaitable, Callable

import uvloop

Call = Callable[[int], Awaitable[object]]
TEXT = "a text as long as that of most small tasks, with some fifty more characters behind"


def arguments() -> argparse.Namespace:
    """The command line of a client process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", choices=["single", "batch", "call"])
    parser.add_argument("address")
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--at-once", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=100)
    return parser.parse_args()


async def drive(call: Call, *, calls: int, at_once: int) -> None:
    """Make `calls` calls, `at_once` of them at a time, and print what it took."""
    numbers = iter(range(calls))
    seconds: list[float] = []

    async def one_after_the_other() -> None:
        for number in numbers:
            began = time.monotonic()
            await call(number)
            seconds.append(time.monotonic() - began)

    cpu_s, first = _cpu_s(), time.monotonic()
    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    print(
        json.dumps(
            {
                "first": first,
                "answered": time.monotonic(),
                "cpu_s": _cpu_s() - cpu_s,
                "seconds": seconds,
            }
        )
    )


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run(main: Callable[[argparse.Namespace], Awaitable[None]]) -> None:
    """Run a client's main on uvloop."""

    async def body() -> None:
        await main(arguments())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(body())
