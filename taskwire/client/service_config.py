"""The gRPC service config that makes an ordinary stub repeat what a restart interrupted.

It is JSON that every gRPC implementation reads (option `grpc.service_config` in Python and
C++, `WithDefaultServiceConfig` in Go, `defaultServiceConfig` in Java, `grpc.service_config`
in Node). Calls that make something need a request id: a repetition then finds the first task.
"""

from __future__ import annotations

import json

_RETRY_POLICY = {
    # Implementations allow at most five; waitForReady below keeps a server that is away from
    # using them up.
    "maxAttempts": 5,
    "initialBackoff": "0.5s",
    "maxBackoff": "10s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


# Without a request id each of these makes something new every time.
_SUBMISSIONS = ("SubmitTask", "BatchSubmitTasks", "RetryTask")

# Whoever reads these goes on where the last one broke. Repeated by gRPC itself, a stream that was
# begun while its server died may never return, not even when it is cancelled (grpcio 1.85).
_STREAMS = ("StreamSubmitTasks", "WatchTask", "WatchTasks")


def service_config(*services: str, submissions: bool = False) -> str:
    """The service config for `services` ("acme.images.v1.ImageTasks"), or for all of them.

    With it a call that finds no server waits for one until its deadline: set a deadline.
    `submissions` says that every call of TaskService carries a request id too; without it
    the ones that make tasks are not repeated. Streams never are.
    """
    names = [{"service": service} for service in services] or [{}]
    methods: list[dict[str, object]] = [
        {"name": names, "waitForReady": True, "retryPolicy": _RETRY_POLICY}
    ]
    names_once = _STREAMS if submissions else (*_STREAMS, *_SUBMISSIONS)
    once = [{"service": "taskwire.v1.TaskService", "method": name} for name in names_once]
    methods.append({"name": once, "waitForReady": True})
    return json.dumps({"methodConfig": methods}, indent=2)
