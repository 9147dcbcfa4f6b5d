"""A subscription whose server takes its time to acknowledge."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from taskwire_db.feed.session import Session
from taskwire_db.feed.subscription import Subscription


async def test_who_comes_back_to_a_channel_waits_for_an_acknowledgement_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[str, ...]] = []
    monkeypatch.setattr(Session, "send", lambda session, *command: sent.append(command))
    subscription = Subscription(
        "redis://127.0.0.1:1/0", on_message=lambda name, body: None, on_listening=lambda: None
    )
    subscription._session = Session(on_push=subscription._pushed)

    first = asyncio.create_task(subscription.subscribe("task"))
    await asyncio.sleep(0)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    second = asyncio.create_task(subscription.subscribe("task"))
    await asyncio.sleep(0)
    assert [command[0] for command in sent] == ["SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE"]

    # The first one's: the server goes through its UNSUBSCRIBE yet, and would not ring meanwhile.
    subscription._pushed(b"subscribe", "task", b"")
    for _ in range(5):
        await asyncio.sleep(0)
    assert not second.done()
    subscription._pushed(b"subscribe", "task", b"")
    await asyncio.wait_for(second, 5)
