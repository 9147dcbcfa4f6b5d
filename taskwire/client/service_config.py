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
_WITH_REQUEST_ID = (
    "taskwire.v1.TaskService/SubmitTask",
    "taskwire.v1.TaskService/BatchSubmitTasks",
    "taskwire.v1.TaskService/RetryTask",
    "taskwire.v1.BulkTaskService/BulkCancelTasks",
    "taskwire.v1.BulkTaskService/BulkRetryTasks",
    "taskwire.v1.BulkTaskService/BulkDeleteTasks",
)

# Whoever reads these goes on where the last one broke. Repeated by gRPC itself, a stream that was
# begun while its server died may never return, not even when it is cancelled (grpcio 1.85).
_STREAMS = (
    "taskwire.v1.TaskService/StreamSubmitTasks",
    "taskwire.v1.TaskService/WatchTask",
    "taskwire.v1.TaskService/WatchTasks",
)

# It makes an operation every time, and takes no request id.
_ALWAYS_ONCE = (*_STREAMS, "taskwire.v1.QueueService/PurgeQueue")


def service_config(*services: str, submissions: bool = False) -> str:
    """The service config for `services` ("acme.images.v1.ImageTasks"), or for all of them.

    With it a call that finds no server waits for one until its deadline: set a deadline.
    `submissions` says that every call that makes tasks or operations carries a request id too;
    without it they are not repeated. Streams and purges of queues never are.
    """
    names = [{"service": service} for service in services] or [{}]
    methods: list[dict[str, object]] = [
        {"name": names, "waitForReady": True, "retryPolicy": _RETRY_POLICY}
    ]
    paths = _ALWAYS_ONCE if submissions else (*_ALWAYS_ONCE, *_WITH_REQUEST_ID)
    once = [dict(zip(("service", "method"), path.split("/"), strict=True)) for path in paths]
    methods.append({"name": once, "waitForReady": True})
    return json.dumps({"methodConfig": methods}, indent=2)
