"""How options, failures, labels and follow-ups are written into columns: compactly, by msgspec.

An option set is stored once and named by a hash of its content, because most tasks share the
options of their type.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping

import msgspec

from taskwire_core.failure import Failure
from taskwire_core.options import TaskOptions
from taskwire_core.task import FollowUp

_options = msgspec.json.Decoder(TaskOptions)
_failure = msgspec.json.Decoder(Failure)
_follow_up = msgspec.msgpack.Decoder(FollowUp)
_labels = msgspec.json.Decoder(dict[str, str])


@functools.lru_cache(maxsize=4096)
def encode_options(options: TaskOptions) -> tuple[int, str]:
    """The id and the stored text of an option set; the same options have the same id."""
    body = msgspec.json.encode(options)
    digest = hashlib.sha256(body).digest()
    return int.from_bytes(digest[:8], signed=True), body.decode()


@functools.lru_cache(maxsize=4096)
def decode_options(body: str) -> TaskOptions:
    """The option set in a stored text."""
    return _options.decode(body)


def encode_failure(failure: Failure | None) -> str | None:
    """A failure's stored text; None stays None."""
    return None if failure is None else msgspec.json.encode(failure).decode()


def decode_failure(text: str | None) -> Failure | None:
    """The failure in a stored text; None stays None."""
    return None if text is None else _failure.decode(text)


def encode_follow_up(follow_up: FollowUp) -> bytes:
    """A follow-up's stored bytes: MessagePack, because its input is bytes."""
    return msgspec.msgpack.encode(follow_up)


def decode_follow_up(body: bytes) -> FollowUp:
    """The follow-up in stored bytes."""
    return _follow_up.decode(body)


def encode_labels(labels: Mapping[str, str]) -> str | None:
    """Labels' stored text; None for no labels."""
    return msgspec.json.encode(dict(labels)).decode() if labels else None


def decode_labels(text: str | None) -> Mapping[str, str]:
    """The labels in a stored text; None is no labels."""
    return _labels.decode(text) if text else {}
