"""compose.yaml as far as it can be checked without an engine."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import click
import pytest
import yaml

from taskwire_cli.main import cli
from taskwire_core.settings import parse_duration, read_settings, require_services
from tests.packaging.image import ROOT, variables

TEXT = (ROOT / "compose.yaml").read_text()
FILE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = {name: each for name, each in SERVICES.items() if each["image"] == "taskwire"}
THEIRS = {name: each for name, each in SERVICES.items() if name not in OURS}

PROGRAMS = {
    "postgres": "pg_isready",
    "rabbitmq": "rabbitmq-diagnostics",
    "redis": "redis-cli",
}
"""What a health check may call in the images that are not ours."""

SERVICE_KEYS = {
    *("image", "build", "init", "restart", "stop_grace_period", "environment", "depends_on"),
    *("command", "ports", "volumes", "healthcheck", "hostname"),
}
_VARIABLE = re.compile(r"\$\{(\w+)(:\?[^}]*|:-[^}]*)\}")


def filled_in(text: str, **given: str) -> str:
    """`text` with its variables replaced, as the engine would."""

    def value(found: re.Match[str]) -> str:
        name, default = found[1], found[2]
        if name in given:
            return given[name]
        assert default.startswith(":-"), f"{name} has no default"
        return default[2:]

    return _VARIABLE.sub(value, text)


def settings_of(name: str, **given: str) -> dict[str, str]:
    """The settings that a service of ours starts with."""
    given = {"POSTGRES_PASSWORD": "secret", "RABBITMQ_PASSWORD": "secret", **given}
    environment = {**variables(), **SERVICES[name]["environment"]}
    return {
        key: filled_in(value, **given)
        for key, value in environment.items()
        if key.startswith("TASKWIRE_")
    }


def test_there_is_one_service_for_each_part() -> None:
    assert set(OURS) == {"migrations", "gateway", "keeper", "worker"}
    assert set(THEIRS) == set(PROGRAMS)
    assert FILE.keys() == {"name", "x-taskwire", "services", "volumes"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_only_keys_that_compose_knows(name: str) -> None:
    assert SERVICES[name].keys() <= SERVICE_KEYS


@pytest.mark.parametrize("name", OURS)
def test_its_command_exists(name: str) -> None:
    command: click.Command | None = cli
    for word in OURS[name]["command"]:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word)
    assert command is not None
    assert not isinstance(command, click.Group)


@pytest.mark.parametrize("name", OURS)
def test_its_settings_can_be_read_and_are_enough(name: str) -> None:
    found = read_settings(settings_of(name))
    require_services(found)
    assert found.contracts
    assert found.handlers


def test_all_have_the_same_settings_and_the_gateway_leaves_the_keeping_to_the_keeper() -> None:

    everywhere = settings_of("worker")
    assert settings_of("keeper") == settings_of("migrations") == everywhere
    assert settings_of("gateway") == {**everywhere, "TASKWIRE_KEEPER": "off"}


def test_a_file_env_may_name_other_contracts() -> None:
    found = read_settings(settings_of("gateway", TASKWIRE_CONTRACTS="/srv/words.binpb"))
    assert found.contracts == ("/srv/words.binpb",)


@pytest.mark.parametrize("name", SERVICES)
def test_it_waits_for_what_it_needs(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        condition = how["condition"]
        if condition == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]
        else:
            assert condition == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no"
    if name in OURS and name != "migrations":
        assert set(SERVICES[name]["depends_on"]) == {"migrations", *THEIRS}


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "migrations"])
def test_its_health_check_calls_a_program_that_its_image_has(name: str) -> None:
    kind, program, *arguments = SERVICES[name]["healthcheck"]["test"]
    assert kind == "CMD"
    if name in THEIRS:
        assert program == PROGRAMS[name]
    else:
        assert (program, arguments) == ("taskwire", ["health"])
        # It asks the port that the image opens, and auto would be another one for each service.
        assert read_settings(settings_of(name)).admin_listen == "0.0.0.0:50080"


def test_the_addresses_are_those_of_the_services() -> None:
    found = settings_of("gateway")
    hosts = [
        re.search(r"(?:@|//)(\w+):\d+", found[f"TASKWIRE_{name}_URL"])
        for name in ("DATABASE", "RABBITMQ", "REDIS")
    ]
    assert [host and host[1] for host in hosts] == ["postgres", "rabbitmq", "redis"]
    database = THEIRS["postgres"]["environment"]
    url = f"postgresql://{database['POSTGRES_USER']}:secret@postgres:5432/{database['POSTGRES_DB']}"
    assert found["TASKWIRE_DATABASE_URL"] == url
    assert (
        f"//{THEIRS['rabbitmq']['environment']['RABBITMQ_DEFAULT_USER']}:"
        in (found["TASKWIRE_RABBITMQ_URL"])
    )


def test_only_the_gateway_is_published_and_only_on_this_host() -> None:
    ports = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    port = variables()["TASKWIRE_LISTEN"].rpartition(":")[2]
    assert ports == {"gateway": [f"127.0.0.1:{port}:{port}"]}


def test_no_password_stands_in_the_file() -> None:
    secrets = [name for name, default in _VARIABLE.findall(TEXT) if default.startswith(":?")]
    assert set(secrets) == {"POSTGRES_PASSWORD", "RABBITMQ_PASSWORD"}
    for line in TEXT.splitlines():
        if "PASS" in line and not line.lstrip().startswith("#"):
            assert "${" in line


def test_volumes_are_declared_and_used() -> None:
    mounts = [mount for each in SERVICES.values() for mount in each.get("volumes", [])]
    assert sorted(mount.split(":")[0] for mount in mounts) == sorted(FILE["volumes"])
    assert OURS["worker"]["volumes"] == [f"worker:{variables()['TASKWIRE_DATA_DIR']}"]


@pytest.mark.parametrize("name", OURS)
def test_a_service_has_time_to_drain(name: str) -> None:
    needed = read_settings(settings_of(name)).drain_grace + timedelta(seconds=15)
    assert parse_duration(OURS[name]["stop_grace_period"]) >= needed
