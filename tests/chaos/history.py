"""A history: what clients did and saw, what handlers ran, what was broken, and what was left.

A history is a text file with one JSON object a line, each with a `kind`. The first line is the
header. The order of the others is not important, because what depends on time has `at`: seconds
of CLOCK_MONOTONIC, which all processes of a host share and nobody sets. Fields that have a
default may be left out, and a field that is not known is refused, so that a slip in a history
that was written by hand is found. The smallest history in which something happens:

    {"kind": "header", "at": 0, "wall": 0, "seed": 1, "lease_ttl_s": 20, "recovery_bound_s": 60}
    {"kind": "invoke", "at": 1, "op": 1, "call": "submit", "request_id": "r1"}
    {"kind": "ok", "at": 2, "op": 1, "told": [{"task_id": "t1", "version": 1, "state": "QUEUED"}]}
    {"kind": "task", "task_id": "t1", "state": "CANCELLED", "version": 2, "request_id": "r1"}
    {"kind": "event", "task_id": "t1", "version": 1, "state": "QUEUED", "event": "submit"}
    {"kind": "event", "task_id": "t1", "version": 2, "state": "CANCELLED", "event": "cancel"}
    {"kind": "dumped", "at": 9}

States and events are named as in the state table. A digest is that of `records.digest`; an empty
one says that nobody looked.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.chaos.records import (
    Fail,
    Fault,
    FaultEnd,
    Header,
    Invoke,
    Journal,
    Ok,
    Resumed,
    Seen,
    Unknown,
    Watch,
    WatchEnd,
)
from tests.chaos.remains import (
    Canary,
    Counter,
    Dumped,
    Metric,
    Process,
    Queue,
    Scan,
    TaskEvent,
    TaskRow,
)

VERSION = 1
"""Of the format. A file of another version is refused."""


Record = (
    Header
    | Invoke
    | Ok
    | Fail
    | Unknown
    | Watch
    | Seen
    | Resumed
    | WatchEnd
    | Journal
    | Fault
    | FaultEnd
    | TaskRow
    | TaskEvent
    | Queue
    | Process
    | Counter
    | Metric
    | Canary
    | Scan
    | Dumped
)


@dataclass(frozen=True, slots=True)
class History:
    """All lines of a file."""

    header: Header
    records: tuple[Record, ...]


class UnreadableHistory(Exception):
    """A file is no history; `line` is the number of the first line that is none of its lines."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line


_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)
_encoder = msgspec.json.Encoder()


def line_of(record: Record) -> bytes:
    """The record as a line of a file."""
    return _encoder.encode(record) + b"\n"


def append(path: Path | str, record: Record) -> None:
    """Add a line to a file, from whatever process.

    One write with O_APPEND is atomic between processes, and is there when the writer is killed.
    """
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, line_of(record))
    finally:
        os.close(fd)


def read(path: Path) -> History:
    """The history that a file holds; empty lines are left out.

    Raises:
        UnreadableHistory: it holds something else.
        OSError: it cannot be read.
    """
    header: Header | None = None
    records: list[Record] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            record = _decode(number, line)
            if (header is None) != isinstance(record, Header):
                raise UnreadableHistory(number, "one header, on the first line, is needed")
            if isinstance(record, Header):
                header = record
            else:
                records.append(record)
    if header is None:
        raise UnreadableHistory(1, "the file is empty")
    return History(header, tuple(records))


def _decode(number: int, line: bytes) -> Record:
    try:
        record = _decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise UnreadableHistory(number, str(error)) from None
    if isinstance(record, Header) and record.version != VERSION:
        raise UnreadableHistory(
            number, f"the format's version is {record.version}; this program reads {VERSION}"
        )
    return record
