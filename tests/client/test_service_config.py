"""The published service config: what is repeated, and what must not be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taskwire.client import service_config
from taskwire.v1 import bulk_task_service_pb2


def methods(text: str) -> list[Any]:
    found: list[Any] = json.loads(text)["methodConfig"]
    return found


def test_every_call_waits_for_a_server_that_is_away() -> None:
    assert all(method["waitForReady"] for method in methods(service_config()))


def test_a_submission_is_never_repeated_blindly() -> None:
    repeated, once = methods(service_config())
    assert repeated["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert "retryPolicy" not in once
    assert {"service": "taskwire.v1.TaskService", "method": "SubmitTask"} in once["name"]
    for method in bulk_task_service_pb2.DESCRIPTOR.services_by_name["BulkTaskService"].methods:
        assert {"service": "taskwire.v1.BulkTaskService", "method": method.name} in once["name"]


def test_a_client_that_always_sends_a_request_id_may_repeat_submissions() -> None:
    everything, once = methods(service_config(submissions=True))
    assert everything["name"] == [{}]
    assert "retryPolicy" in everything
    services = {"taskwire.v1.TaskService", "taskwire.v1.QueueService"}
    assert {each["service"] for each in once["name"]} == services
    assert {"service": "taskwire.v1.TaskService", "method": "SubmitTask"} not in once["name"]


@pytest.mark.parametrize("submissions", [False, True])
def test_a_purge_which_takes_no_request_id_is_never_repeated(submissions: bool) -> None:
    _, once = methods(service_config(submissions=submissions))
    assert {"service": "taskwire.v1.QueueService", "method": "PurgeQueue"} in once["name"]


@pytest.mark.parametrize("submissions", [False, True])
def test_a_stream_is_never_repeated_by_grpc(submissions: bool) -> None:
    _, once = methods(service_config(submissions=submissions))
    assert "retryPolicy" not in once
    for name in ("WatchTask", "WatchTasks", "StreamSubmitTasks"):
        assert {"service": "taskwire.v1.TaskService", "method": name} in once["name"]


def test_named_services_are_the_only_ones_repeated() -> None:
    repeated, _ = methods(service_config("acme.v1.A", "acme.v1.B"))
    assert repeated["name"] == [{"service": "acme.v1.A"}, {"service": "acme.v1.B"}]
