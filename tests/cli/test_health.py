"""`taskwire health`, beside an admin port in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskwire_admin.admin import Admin
from taskwire_admin.health import Standing
from tests.cli.conftest import Taskwire
from tests.support.processes import free_ports


@pytest.fixture
def admin(bare: Taskwire, monkeypatch: pytest.MonkeyPatch) -> Iterator[Admin]:
    """An open admin port, which the settings name as in an image: on every address."""
    found = Admin("gateway")
    with found.open("127.0.0.1:0") as address:
        assert address is not None
        monkeypatch.setenv("TASKWIRE_ADMIN_LISTEN", f"0.0.0.0:{address.rpartition(':')[2]}")
        yield found


def test_a_service_that_is_ready_is_healthy(bare: Taskwire, admin: Admin) -> None:
    admin.ready = lambda: Standing(True, {"store": "ok", "broker": "away"})
    answer = bare("health")
    assert (answer.code, answer.out) == (0, "status ok, store ok, broker away\n")


def test_one_that_is_not_ready_is_not(bare: Taskwire, admin: Admin) -> None:
    answer = bare("health")
    assert answer.code == 3
    assert answer.line.endswith("is not ready: status unavailable, service starting")


def test_nobody_there_is_another_code(bare: Taskwire) -> None:
    answer = bare("health", "--address", f"127.0.0.1:{free_ports(1)[0]}")
    assert answer.code == 4
    assert "no admin port answers at 127.0.0.1:" in answer.line
    assert bare("health", "--address", "nonsense").code == 4


def test_without_an_admin_port_there_is_nobody_to_ask(
    bare: Taskwire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKWIRE_ADMIN_LISTEN", "off")
    answer = bare("health")
    assert answer.code == 2
    assert "TASKWIRE_ADMIN_LISTEN is off" in answer.line


@pytest.mark.parametrize(("service", "port"), [("gateway", 50080), ("keeper", 50082)])
def test_auto_is_the_port_of_the_service(
    bare: Taskwire, monkeypatch: pytest.MonkeyPatch, service: str, port: int
) -> None:
    asked: list[str] = []

    def ask(where: str) -> tuple[int, str]:
        asked.append(where)
        return 200, ""

    monkeypatch.setattr("taskwire_cli.commands.health._ask", ask)
    assert bare("health", "--service", service).code == 0
    assert asked == [f"127.0.0.1:{port}"]
