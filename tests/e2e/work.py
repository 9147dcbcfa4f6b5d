"""The journal's task type as a caller sees it: submissions, and calls by an ordinary stub."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import grpc

from taskwire.client import Client
from tests.support.stack import Stack

TYPE = "journal.v1.JournalTasks/Work"


def submit(client: Client, key: str, seconds: float = 0.0, **how: Any) -> str:  # submit's own
    """The id of a new task that works for `seconds` under the name `key`."""
    request = client.input_message(TYPE, f'{{"key": "{key}", "duration": "{seconds:.3f}s"}}')
    return client.submit(request, **how).task.id


def submit_slow_once(client: Client, key: str) -> str:
    """The id of a new task whose first attempt lasts until it is lost; the next ends at once."""
    work = json.dumps({"key": key, "duration": "60s", "slow_once": True})
    return client.submit(client.input_message(TYPE, work)).task.id


@contextmanager
def ordinary_stub(services: Stack) -> Iterator[tuple[Any, Any]]:  # generated at run time
    """The stub that protoc generates for the contract, and its messages' module.

    The channel has nothing but the service config that `taskwire client-config` prints.
    """
    sys.path.insert(0, str(services.python))
    try:
        messages = importlib.import_module("journal.v1.journal_pb2")
        stubs = importlib.import_module("journal.v1.journal_pb2_grpc")
    finally:
        sys.path.remove(str(services.python))
    config = services.command("client-config")
    options = [("grpc.service_config", config), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(services.address, options=options) as channel:
        yield stubs.JournalTasksStub(channel), messages


def request(messages: Any, key: str, seconds: float, **script: Any) -> Any:  # generated as well
    """The input of a task that works for `seconds`; `script` has more of the message's fields."""
    made = messages.WorkRequest(key=key, **script)
    made.duration.FromTimedelta(timedelta(seconds=seconds))
    return made
