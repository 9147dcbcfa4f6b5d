"""What makes two submissions with one request id the same: a hash over what the caller sent."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from taskwire.v1 import task_service_pb2


def request_hash(
    request: task_service_pb2.SubmitTaskRequest,
    *,
    task_type: str,
    input_data: bytes,
    follow_ups: Sequence[bytes] = (),
) -> bytes:
    """32 bytes over the type, the input, the schedule as sent, the overrides, the labels and
    what is told of each follow-up.

    `input_data` is the input re-serialised deterministically, so that two encodings of the
    same message count as the same.
    """
    schedule = request.schedule_time if request.HasField("schedule_time") else None
    delay = request.delay if request.HasField("delay") else None
    parts = [
        task_type.encode(),
        input_data,
        f"{schedule.seconds}.{schedule.nanos}".encode() if schedule is not None else b"",
        f"{delay.seconds}.{delay.nanos}".encode() if delay is not None else b"",
        request.overrides.SerializeToString(deterministic=True),
    ]
    if request.labels:
        for key, value in sorted(request.labels.items()):
            parts += [key.encode(), value.encode()]
    if follow_ups:
        # A mark that no label's name can be.
        parts += [b"", *follow_ups]
    # Lengths keep the parts apart: without them "ab" + "c" would be "a" + "bc".
    sized = [piece for part in parts for piece in (len(part).to_bytes(8), part)]
    return hashlib.sha256(b"".join(sized)).digest()
