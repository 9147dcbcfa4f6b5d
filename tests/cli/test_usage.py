"""The command line itself: help, wrong usage, and a server that is not there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import grpc
import pytest
from google.rpc import status_pb2

from taskwire.client import Unreachable
from taskwire.client.errors import unanswered
from taskwire_cli.main import cli
from taskwire_cli.refusals import stop_for
from taskwire_core.settings import PREFIX, Settings
from tests.cli.conftest import Taskwire
from tests.support.embedded import EmbeddedServer, environment, run_command
from tests.support.processes import free_ports

COMMANDS = (
    *(["dev"], ["gateway"], ["keeper"], ["worker"], ["client-config"]),
    *(["db"], ["db", "upgrade"], ["db", "downgrade"], ["db", "revision"]),
    *(["contracts"], ["contracts", "build"], ["contracts", "protos"], ["settings"], ["health"]),
    *(["submit"], ["submit-many"], ["watch"], ["get"], ["cancel"], ["retry"], ["delete"], ["run"]),
    *(["list"], ["count"], ["events"]),
    *(
        ["types"],
        ["queues"],
        ["queue"],
        ["queue", "pause"],
        ["queue", "resume"],
        ["queue", "purge"],
    ),
    *(["operations"], ["operations", "list"], ["operations", "get"]),
    *(["operations", "cancel"], ["operations", "wait"]),
    *(["users"], ["users", "list"], ["users", "create"], ["users", "get"]),
    *(["users", "update"], ["users", "delete"]),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_teaches_every_command(bare: Taskwire, command: list[str]) -> None:
    answer = bare(*command, "--help")
    assert answer.code == 0
    is_group = command in (["db"], ["contracts"], ["queue"], ["operations"], ["users"])
    assert is_group or "Example" in answer.out


def test_help_lists_every_command(bare: Taskwire) -> None:
    answer = bare("--help")
    for name in {command[0] for command in COMMANDS}:
        assert f"\n  {name} " in answer.out
    assert "Exit codes:" in answer.out


@pytest.mark.parametrize("command", ["watch", "retry", "submit"])
def test_an_exit_code_of_a_timeout_is_that_of_a_command_with_one(
    bare: Taskwire, command: str
) -> None:
    text = bare(command, "--help").out
    assert ("\n    5  " in text) == ("--timeout DURATION" in text)


@pytest.mark.parametrize("command", ["watch", "retry", "submit"])
def test_an_output_that_fails_is_told_by_a_command_with_one(bare: Taskwire, command: str) -> None:
    text = bare(command, "--help").out
    assert "\n    3  the server answered with an error" in text
    assert ("--output could not write" in text) == ("--output FIELD=FILE" in text)


def test_every_example_goes_on_after_a_backslash_only(bare: Taskwire) -> None:
    lines = bare("submit", "--help").out.splitlines()
    goes_on = [number for number, line in enumerate(lines) if line.startswith("      --")]
    assert len(goes_on) >= 4
    assert all(lines[number - 1].endswith("\\") for number in goes_on)


def test_every_command_of_the_group_is_tested_here() -> None:
    context = click.Context(cli)
    assert set(cli.list_commands(context)) == {command[0] for command in COMMANDS}


def test_the_help_of_dev_lists_every_setting(bare: Taskwire) -> None:
    text = bare("dev", "--help").out
    for name in Settings.__dataclass_fields__:
        assert f"{PREFIX}{name.upper()}\n" in text


def test_without_a_command_help_is_shown(bare: Taskwire) -> None:
    answer = bare()
    assert answer.code == 2
    assert "Commands:" in answer.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["sumbit"], "No such command 'sumbit'"),
        (["get"], "Missing argument 'ID'; see: taskwire get --help"),
        (["get", "x", "--jsn"], "No such option"),
        (["submit", "a/b", "--delay", "soon"], "must be a duration such as"),
        (["submit", "a/b", "--at", "noon"], "must be a time such as"),
        (["submit", "a/b", "--label", "acme"], "must be NAME=VALUE, for example customer=acme"),
        (["submit", "a/b", "--wait", "--validate-only"], "--validate-only submits nothing"),
        (["list", "--all", "--limit", "3"], "--all and --limit exclude each other"),
        (["list", "--order-by", "name"], "is not one of 'create_time desc', 'create_time'"),
        (["count", "--by", "state,colour"], "colour is none of state, type, queue, owner"),
        (["events"], "Missing argument 'ID'; see: taskwire events --help"),
        (["db", "downgrade"], "Missing argument 'REVISION'"),
    ],
)
def test_wrong_usage_is_one_line(bare: Taskwire, arguments: list[str], problem: str) -> None:
    answer = bare(*arguments)
    assert answer.code == 2
    assert answer.line.startswith("taskwire: ")
    assert problem in answer.line


@pytest.mark.parametrize(
    "arguments", [["types"], ["get", "x"], ["watch", "x"], ["cancel", "x"], ["submit", "a/b"]]
)
def test_no_server_is_exit_code_4(bare: Taskwire, arguments: list[str]) -> None:
    (port,) = free_ports(1)
    answer = bare(*arguments, "--address", f"127.0.0.1:{port}")
    assert answer.code == 4
    assert "start one with `taskwire dev`" in answer.line


def test_a_call_that_is_not_answered_is_told_once() -> None:
    silence = unanswered(0.4, "127.0.0.1:1")
    status = status_pb2.Status(code=grpc.StatusCode.DEADLINE_EXCEEDED.value[0])
    error = Unreachable(grpc.StatusCode.DEADLINE_EXCEEDED, silence, status)
    stop = stop_for(error, "127.0.0.1:1")
    assert stop.code == 4
    assert str(stop).startswith("nobody answered at 127.0.0.1:1 within 0.4 s; start one with ")


def test_the_address_may_be_given(bare: Taskwire, embedded: EmbeddedServer) -> None:
    assert bare("types", "--address", embedded.address, "--json").json


def test_a_wrong_setting_is_refused_by_every_command(
    bare: Taskwire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKWIRE_LISTEN", "nowhere")
    answer = bare("types")
    assert answer.code == 2
    assert answer.line == (
        "taskwire: TASKWIRE_LISTEN must be HOST:PORT, for example 127.0.0.1:50051"
    )


def test_client_config_is_json_with_a_retry_policy(bare: Taskwire) -> None:
    everything, _ = bare("client-config").json["methodConfig"]
    assert everything["name"] == [{}]
    assert everything["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]


def test_client_config_may_be_for_some_services(bare: Taskwire) -> None:
    some = bare("client-config", "acme.v1.A", "acme.v1.B").json["methodConfig"][0]
    assert some["name"] == [{"service": "acme.v1.A"}, {"service": "acme.v1.B"}]


def test_the_script_is_installed(tmp_path: Path) -> None:
    script = Path(sys.executable).parent / "taskwire"
    done = subprocess.run(
        [script, "client-config"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert json.loads(done.stdout)


def test_a_reader_that_has_enough_is_no_error(embedded: EmbeddedServer) -> None:
    done = subprocess.run(
        f"{sys.executable} -m taskwire_cli types --json | head -c 1",
        shell=True,
        env=embedded.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "["
    assert done.stderr == ""


def test_the_version_is_told() -> None:
    done = run_command("--version", env=environment())
    assert done.stdout.startswith("taskwire ")
