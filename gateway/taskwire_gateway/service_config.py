"""The published gRPC service config: the retry policy that makes a stub outlive our restarts.

Only what may be repeated blindly is named: durable calls (with a request id a retry attaches
again; without one early headers switch the retry off) and the reads of TaskService.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from taskwire_gateway.rpc.task_service import SERVICE

_REPEATABLE = ("GetTask", "WaitTask", "CancelTask", "ListTaskTypes")


def service_config(services: Iterable[str]) -> dict[str, object]:
    """The config for a channel whose stubs call these services of durable tasks."""
    names: list[dict[str, str]] = [{"service": service} for service in sorted(services)]
    names += [{"service": SERVICE, "method": method} for method in _REPEATABLE]
    return {
        "methodConfig": [
            {
                "name": names,
                # A restarting gateway is waited for, up to the call's own deadline.
                "waitForReady": True,
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.5s",
                    "maxBackoff": "5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }


def service_config_json(services: Iterable[str]) -> str:
    """The same as the text that the channel option `grpc.service_config` takes."""
    return json.dumps(service_config(services))
