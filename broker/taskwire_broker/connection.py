"""How both services connect to RabbitMQ: one reading of the URL, one set of time-outs."""

from __future__ import annotations

import pika

from taskwire_core.errors import ConfigurationError

_HEARTBEAT_S = 20
_SOCKET_TIMEOUT_S = 5.0
_CONNECT_TIMEOUT_S = 10.0
# How long a memory or disk alarm of the broker may keep one connection waiting.
_BLOCKED_TIMEOUT_S = 30.0


def connection_parameters(url: str, name: str) -> list[pika.URLParameters]:
    """One set of parameters for each node of `url` (several are separated by `;`).

    What the URL's query sets stays as it is. RabbitMQ shows `name` beside the connection.

    Raises:
        ConfigurationError: the URL cannot be used; its text does not quote it.
    """
    nodes = [_node(each.strip(), name) for each in url.split(";") if each.strip()]
    if not nodes:
        raise ConfigurationError("TASKWIRE_RABBITMQ_URL is empty; set amqp://user:password@host/")
    return nodes


def _node(url: str, name: str) -> pika.URLParameters:
    if not url.startswith(("amqp://", "amqps://")):
        raise ConfigurationError(
            "TASKWIRE_RABBITMQ_URL must begin with amqp:// or amqps://,"
            " as in amqp://user:password@host:5672/vhost"
        )
    try:
        parameters = pika.URLParameters(url)
    except (ValueError, TypeError):
        raise ConfigurationError(
            "TASKWIRE_RABBITMQ_URL cannot be read; write it as amqp://user:password@host:5672/vhost"
        ) from None
    asked = url.partition("?")[2]
    for field, value in (
        ("heartbeat", _HEARTBEAT_S),
        ("socket_timeout", _SOCKET_TIMEOUT_S),
        ("stack_timeout", _CONNECT_TIMEOUT_S),
        ("blocked_connection_timeout", _BLOCKED_TIMEOUT_S),
    ):
        if f"{field}=" not in asked:
            setattr(parameters, field, value)
    parameters.client_properties = {"connection_name": name}
    return parameters
