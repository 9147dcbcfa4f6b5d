"""A server that is away for many tries of a watch."""

from __future__ import annotations

from collections.abc import Iterator

from taskwire_cli.interruptions import Interruptions


def test_a_server_that_is_away_is_told_once_and_its_return_too() -> None:
    said: list[str] = []
    interruptions = Interruptions(said.append)

    def events() -> Iterator[int]:
        yield 1
        for problem in ("the socket was closed", "failed to connect", "failed to connect"):
            interruptions.note(problem)
        yield from (2, 3)
        interruptions.note("the stream was silent")
        yield 4

    assert [*interruptions.over(events())] == [1, 2, 3, 4]
    assert said == [
        "interrupted (the socket was closed); waiting for the server",
        "the server is back",
        "interrupted (the stream was silent); waiting for the server",
        "the server is back",
    ]
