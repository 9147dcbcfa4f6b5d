"""The settings: every environment variable that taskwire reads, in one place.

Nothing else in the project reads the environment. A service builds its `Settings` once, in its
main, and is told of every problem at once. Secrets have no defaults.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from taskwire_core.errors import ConfigurationError
from taskwire_core.failpoints import Failpoint, parse_failpoints
from taskwire_core.queue_type import QueueType
from taskwire_core.user import DEV

PREFIX = "TASKWIRE_"


def _setting(default: object, help_: str, parse: Callable[[str], object]) -> Any:  # a field
    return field(default=default, metadata={"help": help_, "parse": parse})


def _text(value: str) -> str:
    return value


def _positive(value: str) -> int:
    if not value.strip().isdecimal() or int(value) < 1:
        raise ValueError("must be a whole number of 1 or more")
    return int(value)


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(value: str) -> timedelta:
    """A duration such as `250ms`, `30s`, `5m`, `2h` or `7d`.

    Raises:
        ValueError: it is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value.strip())
    if match is None:
        raise ValueError("must be a duration such as 250ms, 30s, 5m, 2h or 7d")
    try:
        return timedelta(seconds=float(match[1]) * _UNITS[match[2]])
    except OverflowError:
        raise ValueError("must be a duration of less than a million years") from None


def _lease(value: str) -> timedelta:
    duration = parse_duration(value)
    if duration < timedelta(seconds=1):
        raise ValueError("must be 1s or more: it is renewed four times in that time")
    return duration


def _list(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _switch(value: str) -> bool:
    name = value.strip().lower()
    if name not in ("on", "off"):
        raise ValueError("must be on or off")
    return name == "on"


def _level(value: str) -> str:
    name = value.strip().upper()
    if name not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("must be one of DEBUG, INFO, WARNING, ERROR")
    return name


def _address(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not separator or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be HOST:PORT, for example 127.0.0.1:50051")
    return value


AUTO, OFF = "auto", "off"


def _admin_address(value: str) -> str:
    word = value.strip().lower()
    if word in (AUTO, OFF):
        return word
    try:
        return _address(value)
    except ValueError:
        raise ValueError("must be auto, off or HOST:PORT, for example 127.0.0.1:50080") from None


def _queue_type(value: str) -> QueueType:
    try:
        return QueueType(value.strip().lower())
    except ValueError:
        raise ValueError("must be classic or quorum") from None


def _log_format(value: str) -> str:
    name = value.strip().lower()
    if name not in ("line", "json"):
        raise ValueError("must be line or json")
    return name


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says. A field `some_name` is the variable `TASKWIRE_SOME_NAME`."""

    listen: str = _setting("127.0.0.1:50051", "where the gateway serves gRPC", _address)
    database_url: str = _setting(
        "",
        "sqlite:///path/to/file.db, or postgresql://user:password@host:5432/database",
        _text,
    )
    rabbitmq_url: str = _setting("", "amqp://user:password@host:5672/vhost", _text)
    rabbitmq_queue_type: QueueType = _setting(
        QueueType.CLASSIC,
        "classic, or quorum: replicated in a cluster; the same for all processes",
        _queue_type,
    )
    redis_url: str = _setting("", "redis://host:6379/0", _text)
    user: str = _setting(
        DEV, "the name of the user as whom everybody acts: nobody is authenticated", _text
    )
    data_dir: Path = _setting(
        Path("data"),
        "folder of the embedded database and of the workers' spool files",
        Path,
    )
    contracts: tuple[str, ...] = _setting(
        (), "descriptor sets (.binpb files, or folders of them), comma-separated", _list
    )
    handlers: tuple[str, ...] = _setting(
        (), "importable modules with @task functions, comma-separated", _list
    )
    worker_processes: int = _setting(1, "worker processes of one `taskwire worker`", _positive)
    worker_threads: int = _setting(
        8, "threads of a worker process, one for each running task but those below", _positive
    )
    worker_async_slots: int = _setting(
        100, "async def handlers that a worker process runs at the same time", _positive
    )
    worker_queues: tuple[str, ...] = _setting(
        (),
        "the queues to work on, comma-separated; default: all that the handlers need",
        _list,
    )
    drain_grace: timedelta = _setting(
        timedelta(seconds=30), "how long SIGTERM waits for running work", parse_duration
    )
    lease_ttl: timedelta = _setting(
        timedelta(seconds=20),
        "how long a silent process is believed to be alive; 1s or more",
        _lease,
    )
    cancel_grace: timedelta = _setting(
        timedelta(seconds=5),
        "how long a cancelled handler may still run, in a process or on the event loop",
        parse_duration,
    )
    max_payload_bytes: int = _setting(
        4 * 1024 * 1024, "the largest input and the largest result, in bytes", _positive
    )
    max_watches: int = _setting(
        20_000, "watches that one gateway serves at the same time", _positive
    )
    max_calls: int = _setting(
        2_000, "unary calls that one gateway serves at the same time", _positive
    )
    retention: bool = _setting(
        True,
        "on or off: whether ended tasks are deleted when their result_ttl has passed",
        _switch,
    )
    keeper: bool = _setting(
        True,
        "on or off: whether a gateway does the keeper's work as well; off needs `taskwire keeper`",
        _switch,
    )
    admin_listen: str = _setting(
        AUTO,
        "where health, metrics and exceptions are served over HTTP: HOST:PORT, off, or auto:"
        " 127.0.0.1, with port 50080 for a gateway and dev, 50081 for a worker, 50082 for a keeper",
        _admin_address,
    )
    log_level: str = _setting("INFO", "DEBUG, INFO, WARNING or ERROR", _level)
    log_format: str = _setting("line", "line, or json: one object a line", _log_format)
    failpoints: tuple[Failpoint, ...] = _setting(
        (),
        "never in production: where processes fail on purpose, as NAME:ACTION[@N], comma-separated",
        parse_failpoints,
    )

    @property
    def embedded(self) -> bool:
        """Whether neither a broker nor Redis is configured: one process does everything."""
        return not self.rabbitmq_url and not self.redis_url


def default_text(setting: Field[Any]) -> str:
    """What to write for the setting's default; empty where there is none."""
    value = setting.default
    if value is MISSING or value in ("", ()):
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    return str(value)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`; a variable that is empty counts as missing.

    Raises:
        ConfigurationError: with every problem: unreadable values, and unknown TASKWIRE_ names.
    """
    known = {PREFIX + f.name.upper(): f for f in fields(Settings)}
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, text in environment.items():
        if not name.startswith(PREFIX) or not text:
            continue
        if name not in known:
            problems.append(f"{name} is not a setting of taskwire (see: taskwire dev --help)")
            continue
        setting = known[name]
        try:
            values[setting.name] = setting.metadata["parse"](text)
        except ValueError as error:
            problems.append(f"{name} {_sentence(error)}")
    if problems:
        raise ConfigurationError("; ".join(sorted(problems)))
    return Settings(**values)


def _sentence(error: ValueError) -> str:
    text = str(error)
    return text if text.startswith("must") else f"cannot be read: {text}"


def require_services(settings: Settings) -> None:
    """Refuse settings that a gateway or a worker of its own cannot run with.

    Raises:
        ConfigurationError: naming every missing variable.
    """
    missing = [
        PREFIX + name.upper()
        for name in ("database_url", "rabbitmq_url", "redis_url")
        if not getattr(settings, name)
    ]
    if missing:
        raise ConfigurationError(
            f"{', '.join(missing)} must be set for a gateway or a worker;"
            " `taskwire dev` runs without them, in one process"
        )


def require_whole(settings: Settings) -> None:
    """Refuse half a configuration: RabbitMQ without Redis, or Redis without RabbitMQ.

    Raises:
        ConfigurationError: naming the missing half.
    """
    if bool(settings.rabbitmq_url) != bool(settings.redis_url):
        missing = "TASKWIRE_REDIS_URL" if settings.rabbitmq_url else "TASKWIRE_RABBITMQ_URL"
        raise ConfigurationError(
            f"{missing} is missing: set both RabbitMQ and Redis, or neither for one process"
        )
