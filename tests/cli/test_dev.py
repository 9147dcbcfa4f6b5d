"""`taskwire dev`: what it prints, what it survives, and how it refuses to start."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from taskwire.client import Client, ended
from taskwire_cli.beside_services import completed, next_port
from taskwire_cli.database import claimed
from taskwire_core.settings import Settings
from tests.cli.conftest import FLAKY, SLEEP, Refusal, Taskwire
from tests.support.embedded import EmbeddedServer, environment, run_command


def test_the_printed_buf_line_gives_a_real_result(embedded: EmbeddedServer) -> None:
    (line,) = [each for each in embedded.output.splitlines() if "/buf curl" in each]
    done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"quotient": 42}


def test_a_grpcurl_line_with_the_real_address_is_printed(embedded: EmbeddedServer) -> None:
    (line,) = [each for each in embedded.output.splitlines() if "grpcurl" in each]
    assert line.split() == [
        *("grpcurl", "-plaintext", "-d", '\'{"dividend":', "84,", '"divisor":', "2}'"),
        *(embedded.address, "taskwire.examples.v1.MathTasks/Divide"),
    ]
    if shutil.which("grpcurl"):
        done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60)
        assert json.loads(done.stdout) == {"quotient": 42}


def test_tasks_survive_kill_9_and_a_watch_sees_their_end(
    killable_embedded: EmbeddedServer,
) -> None:
    server = killable_embedded
    with Client(server.address) as client:
        running = client.submit(client.input_message(SLEEP, '{"duration": "3s"}')).task.id
        later = client.input_message(FLAKY, '{"failures": 1}')
        waiting = client.submit(later).task.id
        interruptions: list[str] = []
        watch = client.watch(running, on_interruption=interruptions.append)
        first = next(watch)
        server.kill()
        server.start()
        last = [event.task for event in watch if event.WhichOneof("kind") == "task"][-1]
        assert interruptions
        assert ended(last)
        assert last.version > first.task.version
        assert last.result.value
        assert client.wait(waiting, 20).result.value


def test_sigterm_ends_it_in_order(killable_embedded: EmbeddedServer) -> None:
    assert killable_embedded.stop() == 0
    assert "draining" in killable_embedded.output
    assert killable_embedded.output.splitlines()[-1].endswith("stopped")
    assert "Traceback" not in killable_embedded.output


def test_a_second_process_on_the_same_data_is_refused(
    embedded: EmbeddedServer, refusal: Refusal
) -> None:
    line = refusal(listen="127.0.0.1:0", data_dir=str(embedded.data))
    assert f"the data folder {embedded.data} is in use" in line


def test_a_second_process_on_the_same_database_is_refused(tmp_path: Path, refusal: Refusal) -> None:
    url = f"sqlite:///{tmp_path}/tasks.db"
    with claimed(Settings(database_url=url)):
        line = refusal(listen="127.0.0.1:0", data_dir=str(tmp_path / "other"), database_url=url)
    assert f"the database {tmp_path}/tasks.db is in use" in line


def test_a_port_in_use_is_refused(embedded: EmbeddedServer, tmp_path: Path) -> None:
    done = run_command("dev", env=environment(listen=embedded.address, data_dir=str(tmp_path)))
    assert done.returncode == 2
    # grpc's core logs the failed bind before we can say it better.
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"taskwire: cannot listen on {embedded.address}")
    assert "Traceback" not in done.stderr


def test_a_data_folder_that_cannot_be_made_is_refused(tmp_path: Path, refusal: Refusal) -> None:
    (tmp_path / "file").touch()
    line = refusal(data_dir=str(tmp_path / "file" / "data"))
    assert "TASKWIRE_DATA_DIR" in line


def test_a_database_of_a_newer_taskwire_is_refused(
    bare: Taskwire, refusal: Refusal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TASKWIRE_DATA_DIR", str(tmp_path))
    assert bare("db", "upgrade").code == 0
    with sqlite3.connect(tmp_path / "taskwire.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert "9999" in refusal(data_dir=str(tmp_path), listen="127.0.0.1:0")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"redis_url": "redis://127.0.0.1:1/0"}, "TASKWIRE_RABBITMQ_URL is missing"),
        ({"contracts": "nowhere.binpb", "handlers": "x"}, "nowhere.binpb"),
        ({"handlers": "no_such_module"}, "no_such_module"),
        ({"database_url": "postgresql+psycopg://user:secret@db/x"}, "works on a SQLite file only"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(
    tmp_path: Path, refusal: Refusal, settings: dict[str, str], problem: str
) -> None:
    line = refusal(**{"data_dir": str(tmp_path), "listen": "127.0.0.1:0", **settings})
    assert problem in line
    assert "secret" not in line


@pytest.mark.parametrize("service", ["gateway", "worker"])
def test_a_service_without_its_settings_names_all_that_are_missing(
    refusal: Refusal, service: str
) -> None:
    line = refusal(service)
    for name in ("DATABASE_URL", "RABBITMQ_URL", "REDIS_URL"):
        assert f"TASKWIRE_{name}" in line


def test_beside_services_the_examples_are_settings_like_any_other(tmp_path: Path) -> None:
    settings = completed(Settings(data_dir=tmp_path))
    assert settings.database_url == f"sqlite:///{tmp_path}/taskwire.db"
    assert Path(settings.contracts[0]).exists()
    assert settings.handlers == ("taskwire_examples",)


@pytest.mark.parametrize(
    ("gateway", "worker"),
    [
        ("127.0.0.1:6000", "127.0.0.1:6001"),
        ("[::1]:6000", "[::1]:6001"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("auto", "auto"),
        ("off", "off"),
    ],
)
def test_beside_services_the_worker_s_admin_port_follows_the_gateway_s(
    gateway: str, worker: str
) -> None:
    assert next_port(gateway) == worker


def test_beside_services_own_contracts_leave_the_examples_out(tmp_path: Path) -> None:
    settings = completed(Settings(data_dir=tmp_path, contracts=("a.binpb",), handlers=("b",)))
    assert (settings.contracts, settings.handlers) == (("a.binpb",), ("b",))
