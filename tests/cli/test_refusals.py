"""How `gateway`, `worker` and `dev` refuse to start: one line, exit code 2, no stack trace."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path

import pytest

import taskwire
from taskwire_contracts import build
from taskwire_core.errors import ConfigurationError
from taskwire_db import schema
from taskwire_db.database import Database
from tests.cli.conftest import Refusal
from tests.support.embedded import COMMAND, EmbeddedServer, environment, run_command
from tests.support.eventually import eventually
from tests.support.processes import free_ports, kill_group, spawn
from tests.support.stack import serving

EXAMPLES = Path(taskwire.__file__).parent / "_contracts" / "examples.binpb"
AWAY = {"rabbitmq_url": "amqp://guest:secret@127.0.0.1:1/%2f", "redis_url": "redis://127.0.0.1:1/0"}
BOTH = pytest.mark.parametrize("service", ["gateway", "worker"])
ALL = pytest.mark.parametrize("service", ["gateway", "worker", "dev"])

HANDLER = """
from taskwire import task

@task("acme.v1.Tasks/Nothing")
def nothing(request, context):
    return None
"""


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """What both services could start with, if RabbitMQ and Redis were there."""
    url = f"sqlite:///{tmp_path / 'taskwire.db'}"
    database = Database(url)
    schema.upgrade(database)
    database.close()
    (port,) = free_ports(1)
    return {
        **AWAY,
        "database_url": url,
        "contracts": str(EXAMPLES),
        "handlers": "taskwire_examples",
        "data_dir": str(tmp_path / "data"),
        "listen": f"127.0.0.1:{port}",
    }


def spawned(service: str, settings: dict[str, str], **path: str) -> str:
    """The one line of a service that only its own process can refuse to be."""
    done = run_command(service, env={**environment(**settings), **path})
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "secret" not in line
    return line


@BOTH
def test_a_database_that_does_not_answer(
    settings: dict[str, str], refusal: Refusal, service: str, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'nowhere' / 'taskwire.db'}"
    line = refusal(service, **{**settings, "database_url": url})
    assert "cannot reach the database" in line
    assert "check TASKWIRE_DATABASE_URL" in line


@BOTH
def test_a_database_without_tables(
    settings: dict[str, str], refusal: Refusal, service: str, tmp_path: Path
) -> None:
    line = refusal(service, **{**settings, "database_url": f"sqlite:///{tmp_path / 'new.db'}"})
    assert line.endswith("run: taskwire db upgrade")


@ALL
def test_a_database_of_a_newer_taskwire(
    settings: dict[str, str], refusal: Refusal, service: str, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "taskwire.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    line = refusal(service, **settings)
    assert "is at revision 9999" in line
    assert "upgrade this program" in line


def test_an_embedded_database_of_a_newer_taskwire(
    settings: dict[str, str], refusal: Refusal, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "taskwire.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    line = refusal("dev", data_dir=str(tmp_path), listen=settings["listen"])
    assert "is at revision 9999" in line


@pytest.mark.parametrize("service", ["gateway", "dev"])
def test_a_user_to_act_as_who_does_not_exist(
    settings: dict[str, str], refusal: Refusal, service: str
) -> None:
    alone = {name: settings[name] for name in ("data_dir", "listen")}
    line = refusal(service, **(alone if service == "dev" else settings), user="ada")
    assert line.startswith("taskwire: TASKWIRE_USER names the user ada, whom there is not; ")


def test_a_gateway_without_contracts(settings: dict[str, str], refusal: Refusal) -> None:
    line = refusal("gateway", **{**settings, "contracts": ""})
    assert "TASKWIRE_CONTRACTS" in line


def test_a_worker_without_handlers(settings: dict[str, str], refusal: Refusal) -> None:
    line = refusal("worker", **{**settings, "handlers": ""})
    assert "TASKWIRE_HANDLERS" in line


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("rabbitmq_url", "http://user:secret@x"),
        ("rabbitmq_url", "amqp://user:secret@x:port/"),
        ("redis_url", "nonsense"),
        ("redis_url", "redis://:secret@x:port/0"),
    ],
)
def test_a_gateway_with_a_malformed_url(
    settings: dict[str, str], refusal: Refusal, setting: str, value: str
) -> None:
    line = refusal("gateway", **{**settings, setting: value})
    assert f"TASKWIRE_{setting.upper()}" in line
    assert "secret" not in line


def test_a_worker_with_a_malformed_redis_url(settings: dict[str, str], refusal: Refusal) -> None:
    line = refusal("worker", **{**settings, "redis_url": "redis://:secret@x:port/0"})
    assert "TASKWIRE_REDIS_URL" in line
    assert "secret" not in line


def test_a_worker_with_a_malformed_rabbitmq_url(settings: dict[str, str]) -> None:
    line = spawned("worker", {**settings, "rabbitmq_url": "amqp://user:secret@x:port/"})
    assert "TASKWIRE_RABBITMQ_URL" in line


def test_a_worker_whose_data_folder_cannot_be_made(
    settings: dict[str, str], refusal: Refusal, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    line = refusal("worker", **{**settings, "data_dir": str(tmp_path / "file" / "data")})
    assert "set TASKWIRE_DATA_DIR" in line


def test_a_worker_whose_handlers_cannot_be_imported(settings: dict[str, str]) -> None:
    line = spawned("worker", {**settings, "handlers": "no_such_module"})
    assert "TASKWIRE_HANDLERS: cannot import no_such_module" in line


def test_a_worker_with_a_handler_of_an_unknown_type(
    settings: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "stray_handlers.py").write_text(HANDLER)
    line = spawned("worker", {**settings, "handlers": "stray_handlers"}, PYTHONPATH=str(tmp_path))
    assert "acme.v1.Tasks/Nothing, which is in no loaded contract" in line


def test_a_worker_whose_contract_does_not_load(settings: dict[str, str]) -> None:
    assert "nowhere.binpb" in spawned("worker", {**settings, "contracts": "nowhere.binpb"})


def test_dev_with_a_handler_of_an_unknown_type(
    refusal: Refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stray_handlers_of_dev.py").write_text(HANDLER)
    monkeypatch.syspath_prepend(str(tmp_path))
    line = refusal(
        contracts=str(EXAMPLES),
        handlers="stray_handlers_of_dev",
        data_dir=str(tmp_path / "data"),
        listen="127.0.0.1:0",
    )
    assert "acme.v1.Tasks/Nothing, which is in no loaded contract" in line


ONE_INPUT = """
  rpc Make(A) returns (B) { option (taskwire.v1.task) = {}; }
  rpc Paint(A) returns (B) { option (taskwire.v1.task) = {}; }
"""
AT_MOST_ONCE = """
  rpc Make(A) returns (B) {
    option (taskwire.v1.task) = {at_most_once: true, retry: {max_attempts: 2}};
  }
"""
BAD_RULE = """
  rpc Make(R) returns (B) { option (taskwire.v1.task) = {}; }
"""


@pytest.mark.parametrize("service", ["gateway", "dev"])
@pytest.mark.parametrize(
    ("methods", "parts"),
    [
        (ONE_INPUT, ["acme.v1.Tasks/Make", "acme.v1.Tasks/Paint", "acme.v1.A"]),
        (AT_MOST_ONCE, ["acme.v1.Tasks/Make", "at_most_once"]),
        (BAD_RULE, ["acme.v1.Tasks/Make", "acme.v1.R", "string"]),
    ],
    ids=["two types with one input", "at_most_once with retries", "a text's rule for a number"],
)
def test_a_contract_that_contradicts_itself(
    settings: dict[str, str],
    refusal: Refusal,
    tmp_path: Path,
    service: str,
    methods: str,
    parts: list[str],
) -> None:
    protos = tmp_path / "protos"
    protos.mkdir()
    (protos / "tasks.proto").write_text(
        'syntax = "proto3"; package acme.v1; import "taskwire/v1/options.proto";\n'
        'import "buf/validate/validate.proto";\n'
        f"service Tasks {{ {methods} }} message A {{}} message B {{}}"
        "message R { int32 age = 1 [(buf.validate.field).string.min_len = 1]; }"
    )
    with pytest.raises(ConfigurationError):
        build(protos, tmp_path / "set.binpb")
    services = {**settings, "contracts": str(tmp_path / "set.binpb")}
    alone = {name: services[name] for name in ("contracts", "handlers", "data_dir", "listen")}
    line = refusal(service, **(alone if service == "dev" else services))
    for part in parts:
        assert part in line


def test_a_gateway_on_a_port_in_use(settings: dict[str, str], embedded: EmbeddedServer) -> None:
    done = run_command("gateway", env=environment(**{**settings, "listen": embedded.address}))
    assert done.returncode == 2
    # grpc's core logs the failed bind before we can say it better.
    assert f"cannot listen on {embedded.address}" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_gateway_without_rabbitmq_and_redis_serves_says_so_once_and_ends_in_order(
    settings: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "gateway.log"
    gateway = spawn([*COMMAND, "gateway"], env=environment(**settings), log=log)
    try:
        eventually(lambda: serving(settings["listen"]), within=30)
        eventually(lambda: "RabbitMQ cannot be reached" in log.read_text())
        # The second one means "now".
        gateway.send_signal(signal.SIGTERM)
        eventually(lambda: "draining" in log.read_text())
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(20) == 0
    finally:
        kill_group(gateway)
    text = log.read_text()
    assert text.count("RabbitMQ cannot be reached") == 1
    assert "Traceback" not in text
    assert "secret" not in text
