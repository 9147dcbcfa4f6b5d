"""A scripted server and a client of it for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskwire.client import Client
from tests.client.scripted_server import ScriptedServer


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[Client]:
    with Client(server.target) as client:
        yield client
