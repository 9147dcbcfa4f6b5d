"""What a program that submits, watches and calls tasks imports from taskwire.

    from taskwire.client import Client

    with Client("127.0.0.1:50051") as client:
        task = client.submit(DivideRequest(dividend=84, divisor=2)).task
        task = client.wait(task.id)

It is a thin layer over the generated stubs of `taskwire.v1`, which stay usable beside it.
"""

from taskwire.client.client import Client, ended
from taskwire.client.errors import CallFailed, ClientError, UnknownName, Unreachable
from taskwire.client.schema import Schema
from taskwire.client.service_config import service_config
from taskwire.submission import FollowUp, When

__all__ = [
    "CallFailed",
    "Client",
    "ClientError",
    "FollowUp",
    "Schema",
    "UnknownName",
    "Unreachable",
    "When",
    "ended",
    "service_config",
]
