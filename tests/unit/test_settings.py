"""The settings: what the environment may say, and how all its problems are told at once."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from taskwire_core.errors import ConfigurationError
from taskwire_core.queue_type import QueueType
from taskwire_core.settings import (
    Settings,
    parse_duration,
    read_settings,
    require_services,
    require_whole,
)

SERVICES = {
    "TASKWIRE_DATABASE_URL": "sqlite:///tasks.db",
    "TASKWIRE_RABBITMQ_URL": "amqp://127.0.0.1",
    "TASKWIRE_REDIS_URL": "redis://127.0.0.1",
}


def test_an_empty_environment_gives_the_published_defaults() -> None:
    settings = read_settings({"PATH": "/bin", "HOME": "/root"})
    assert settings == Settings()
    assert settings.listen == "127.0.0.1:50051"
    assert settings.data_dir == Path("data")
    assert settings.embedded


def test_values_are_read_in_their_own_types() -> None:
    settings = read_settings(
        {
            "TASKWIRE_LISTEN": "[::]:6000",
            "TASKWIRE_DATA_DIR": "/var/lib/taskwire",
            "TASKWIRE_CONTRACTS": "a.binpb, b.binpb ,",
            "TASKWIRE_WORKER_THREADS": "3",
            "TASKWIRE_DRAIN_GRACE": "1.5m",
            "TASKWIRE_LOG_LEVEL": "debug",
            "TASKWIRE_RABBITMQ_QUEUE_TYPE": " Quorum",
            "TASKWIRE_RETENTION": " Off",
        }
    )
    assert settings.retention is False
    assert settings.listen == "[::]:6000"
    assert settings.data_dir == Path("/var/lib/taskwire")
    assert settings.contracts == ("a.binpb", "b.binpb")
    assert settings.worker_threads == 3
    assert settings.drain_grace == timedelta(seconds=90)
    assert settings.log_level == "DEBUG"
    assert settings.rabbitmq_queue_type is QueueType.QUORUM


def test_an_empty_variable_counts_as_missing() -> None:
    assert read_settings({"TASKWIRE_LISTEN": "", "TASKWIRE_NO_SUCH_NAME": ""}) == Settings()


def test_all_problems_are_told_at_once_in_one_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_settings(
            {
                "TASKWIRE_LISTEN": "50051",
                "TASKWIRE_LISSTEN": "127.0.0.1:50051",
                "TASKWIRE_WORKER_THREADS": "0",
                "TASKWIRE_WORKER_PROCESSES": "many",
                "TASKWIRE_DRAIN_GRACE": "soon",
                "TASKWIRE_LOG_LEVEL": "LOUD",
                "TASKWIRE_RABBITMQ_QUEUE_TYPE": "stream",
                "TASKWIRE_RETENTION": "maybe",
            }
        )
    problems = str(caught.value).split("; ")
    assert problems == [
        "TASKWIRE_DRAIN_GRACE must be a duration such as 250ms, 30s, 5m, 2h or 7d",
        "TASKWIRE_LISSTEN is not a setting of taskwire (see: taskwire dev --help)",
        "TASKWIRE_LISTEN must be HOST:PORT, for example 127.0.0.1:50051",
        "TASKWIRE_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR",
        "TASKWIRE_RABBITMQ_QUEUE_TYPE must be classic or quorum",
        "TASKWIRE_RETENTION must be on or off",
        "TASKWIRE_WORKER_PROCESSES must be a whole number of 1 or more",
        "TASKWIRE_WORKER_THREADS must be a whole number of 1 or more",
    ]


@pytest.mark.parametrize("address", ["50051", ":50051", "host:", "host:port", "host:70000"])
def test_an_address_without_host_or_port_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="TASKWIRE_LISTEN must be HOST:PORT"):
        read_settings({"TASKWIRE_LISTEN": address})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("30s", 30), ("0s", 0), (" 5m ", 300), ("2h", 7200), ("0.5d", 43200)],
)
def test_durations_have_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["0s", "1ms", "0.9s"])
def test_a_lease_that_has_ended_before_it_is_renewed_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="TASKWIRE_LEASE_TTL must be 1s or more"):
        read_settings({"TASKWIRE_LEASE_TTL": text})


@pytest.mark.parametrize(
    "text", ["", "30", "s", "-1s", "1 s", "1w", "1e3s", "1m30s", "9" * 20 + "d", "9" * 400 + "s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("present", "missing"),
    [
        ("TASKWIRE_RABBITMQ_URL", "TASKWIRE_REDIS_URL"),
        ("TASKWIRE_REDIS_URL", "TASKWIRE_RABBITMQ_URL"),
    ],
)
def test_half_a_configuration_names_the_other_half(present: str, missing: str) -> None:
    settings = read_settings({present: "x://secret"})
    assert not settings.embedded
    with pytest.raises(ConfigurationError, match=f"^{missing} is missing: ") as caught:
        require_whole(settings)
    assert "secret" not in str(caught.value)


def test_a_whole_configuration_and_none_are_fine() -> None:
    require_whole(read_settings(SERVICES))
    require_whole(Settings())


def test_a_service_needs_all_three_urls_and_names_every_missing_one() -> None:
    require_services(read_settings(SERVICES))
    with pytest.raises(ConfigurationError) as caught:
        require_services(Settings())
    assert str(caught.value).startswith(", ".join(SERVICES) + " must be set")


@pytest.mark.parametrize("name", list(SERVICES))
def test_a_service_names_the_one_that_is_missing(name: str) -> None:
    rest = {key: value for key, value in SERVICES.items() if key != name}
    with pytest.raises(ConfigurationError, match=f"^{name} must be set"):
        require_services(read_settings(rest))


def test_every_setting_says_what_it_is() -> None:
    for setting in fields(Settings):
        assert setting.metadata["help"], setting.name
        assert callable(setting.metadata["parse"])


def test_only_the_command_line_and_what_shells_import_reads_the_environment() -> None:
    root = Path(__file__).parents[2]
    rooms = ("taskwire", "core", "contracts", "db", "broker", "admin", "gateway", "worker")
    readers = [
        file
        for room in rooms
        for file in (root / room).rglob("*.py")
        if re.search(r"\bos\.(environ|getenv)\b", file.read_text())
    ]
    assert readers == [root / "db" / "taskwire_db" / "place.py"]
