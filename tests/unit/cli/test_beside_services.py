"""Two services as children, and the signals for them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from typing import Any, Self

import pytest

from taskwire_cli.beside_services import _Pair


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Puts back what pytest does at a signal."""
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def test_a_signal_that_comes_while_the_services_are_started_ends_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(service: str) -> subprocess.Popen[bytes]:
        if started:
            os.kill(os.getpid(), signal.SIGTERM)
        started.append(subprocess.Popen(["sleep", "20"]))
        return started[-1]

    pair = _Pair({}, listen="127.0.0.1:1", admin_listen="off", kill_after_s=60)
    monkeypatch.setattr(pair, "_start", start)

    assert pair.run() == 128 + signal.SIGTERM
    assert [child.returncode for child in started] == [-signal.SIGTERM] * 2


class Child:
    """A service that ends in order, and has not yet when it is asked."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def poll(self) -> None:
        return None

    def wait(self, timeout: float | None = None) -> int:
        return 0

    def send_signal(self, signum: int) -> None:
        self.heard.append(signum)


class SignalWhenFilled(list[Any]):
    def __iadd__(self, added: Iterable[Any]) -> Self:  # type: ignore[misc]  # so is list's
        self.extend(added)
        os.kill(os.getpid(), signal.SIGTERM)
        return self


def test_a_signal_that_comes_as_soon_as_the_services_are_started_is_handed_on_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    children = SignalWhenFilled()
    pair = _Pair({}, listen="127.0.0.1:1", admin_listen="off", kill_after_s=60)
    monkeypatch.setattr(pair, "_start", lambda service: Child())
    monkeypatch.setattr(pair, "_children", children)

    assert pair.run() == 0
    assert [child.heard for child in children] == [[signal.SIGTERM]] * 2
