"""The admin port of a service: where it listens, what it shows, and what it collects."""

from __future__ import annotations

import http.client
import json
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import Counter

from taskwire_admin import admin as admin_module
from taskwire_admin.admin import Admin
from taskwire_admin.health import Standing
from taskwire_core.errors import ConfigurationError
from taskwire_core.scope import Scope, working_on

LOG = logging.getLogger("taskwire_gateway.test")


def get(address: str, path: str) -> tuple[int, str]:
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


@pytest.fixture
def admin() -> Admin:
    return Admin("gateway")


@pytest.fixture
def address(admin: Admin) -> Iterator[str]:
    with admin.open("127.0.0.1:0") as found:
        assert found is not None
        yield found


def exceptions(address: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(get(address, "/-/exceptions")[1])["aggregated_errors"]
    return found


def test_it_is_alive_at_once_and_ready_when_the_service_says_so(admin: Admin, address: str) -> None:
    assert get(address, "/healthz") == (200, '{"status": "ok"}\n')
    assert get(address, "/readyz") == (503, '{"status": "unavailable", "service": "starting"}\n')
    admin.ready = lambda: Standing(True, {"store": "ok"})
    assert get(address, "/readyz") == (200, '{"status": "ok", "store": "ok"}\n')


def test_metrics_are_those_of_its_own_registry(admin: Admin, address: str) -> None:
    Counter("taskwire_test_things", "Things.", registry=admin.instruments.registry).inc()
    status, body = get(address, "/metrics")
    assert status == 200
    assert "taskwire_test_things_total 1.0" in body
    assert 'taskwire_build_info{service="gateway",version=' in body
    assert "process_resident_memory_bytes" in body


def test_two_services_of_one_process_do_not_share_their_metrics() -> None:
    Counter("taskwire_test_things", "Things.", registry=Admin("gateway").instruments.registry)
    Counter("taskwire_test_things", "Things.", registry=Admin("gateway").instruments.registry)


def test_an_exception_that_is_logged_as_an_error_is_shown(address: str) -> None:
    with working_on(Scope({"method": "acme.v1.Things/Do", "call": "c-1"}, b"Alice")):
        try:
            raise ValueError("no Alice; password=hunter2")
        except ValueError:
            LOG.exception("a call failed unexpectedly")
    (found,) = exceptions(address)
    (latest,) = found["latest_errors"]
    assert latest["error"]["message"] == "no ***; password=***"
    assert latest["http_context"]["request_method"] == "grpc"
    assert latest["http_context"]["request_url"] == "acme.v1.Things/Do"
    assert latest["http_context"]["request_headers"] == {
        "event": "a call failed unexpectedly",
        "call": "c-1",
    }
    assert "taskwire_exceptions_total 1.0" in get(address, "/metrics")[1]


def test_a_warning_and_an_error_without_an_exception_are_not(address: str) -> None:
    LOG.error("the disk is full")
    LOG.warning("it is tried again", exc_info=ValueError("no"))
    assert exceptions(address) == []


def test_a_closed_port_collects_no_more(admin: Admin) -> None:
    with admin.open("off") as address:
        assert address is None
        LOG.error("failed", exc_info=ValueError("no"))
    LOG.error("failed", exc_info=ValueError("no"))
    assert admin.instruments.exceptions.total == 1


def test_an_address_that_was_set_and_is_taken_is_an_error(admin: Admin, address: str) -> None:
    refused = pytest.raises(ConfigurationError, match="set TASKWIRE_ADMIN_LISTEN")
    with refused, Admin("worker").open(address):
        raise AssertionError("it was opened")


def test_an_address_that_was_chosen_and_is_taken_costs_the_port_and_a_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setitem(admin_module.PORTS, "worker", taken.getsockname()[1])
        with Admin("worker").open("auto") as address:
            assert address is None
    assert [r.getMessage() for r in caplog.records] == [
        "no admin port, its address is in use; set TASKWIRE_ADMIN_LISTEN"
    ]


def test_an_address_beyond_this_machine_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Admin("worker").open("0.0.0.0:0") as address:
        assert address is not None
    assert "listens beyond this machine" in caplog.text


def test_an_address_of_nobody_is_an_error() -> None:
    refused = pytest.raises(ConfigurationError, match="cannot listen on")
    with refused, Admin("worker").open("no.such.host.invalid:1"):
        raise AssertionError("it was opened")
