"""HTTP/2 as nobody should speak it: frames that are made by hand and sent as they are."""

from __future__ import annotations

import contextlib
import socket

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS = 1, 4

_LARGEST_FRAME = 16_384


def frame(kind: int, flags: int, stream: int, payload: bytes = b"", *, length: int = -1) -> bytes:
    """A frame, whose header may tell of another length than it has."""
    told = len(payload) if length < 0 else length
    head = told.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def greeting(*, window: int = 65_535) -> bytes:
    """How a connection begins; each answer may have `window` bytes before more are asked for."""
    return PREFACE + frame(SETTINGS, 0, 0, b"\0\4" + window.to_bytes(4, "big"))


def call(path: str, body: bytes, stream: int = 1, **metadata: str) -> bytes:
    """A whole call with such a body, below HTTP/2's initial windows of 64 KiB."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "chaos",
        "te": "trailers",
        "content-type": "application/grpc",
        **{name.replace("_", "-"): value for name, value in metadata.items()},
    }
    # Each literal field is never indexed, and its name is new.
    block = b"".join(b"\0" + _literal(name) + _literal(value) for name, value in headers.items())
    parts = [body[at : at + _LARGEST_FRAME] for at in range(0, len(body), _LARGEST_FRAME)]
    sent = [frame(HEADERS, END_HEADERS, stream, block)]
    sent += [frame(DATA, 0, stream, part) for part in parts]
    return b"".join([*sent, frame(DATA, END_STREAM, stream)])


def message(data: bytes, *, compressed: bool = False, length: int = -1) -> bytes:
    """A message as gRPC writes it, which may tell of another length than it has."""
    told = len(data) if length < 0 else length
    return bytes([compressed]) + told.to_bytes(4, "big") + data


def begun(connection: socket.socket) -> None:
    """Wait until the answer of a stream has begun, or the connection has ended."""
    while len(head := _read(connection, 9)) == 9 and head[3] != HEADERS:
        _read(connection, int.from_bytes(head[:3], "big"))


def sent(port: int, data: bytes, *, answered: bool = False) -> socket.socket:
    """A connection on which `data` was sent; `answered` waits until its stream has ended."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    # The server may have closed it in the middle.
    with contextlib.suppress(OSError):
        connection.sendall(data)
        if answered:
            _read_to_end_of_stream(connection)
    return connection


def _read_to_end_of_stream(connection: socket.socket) -> None:
    while True:
        head = _read(connection, 9)
        if len(head) < 9 or head[3] in (RST_STREAM, GOAWAY):
            return
        _read(connection, int.from_bytes(head[:3], "big"))
        if head[3] in (DATA, HEADERS) and head[4] & END_STREAM:
            return


def _read(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count and (more := connection.recv(count - len(found))):
        found += more
    return found


def _literal(text: str) -> bytes:
    assert len(text) < 127
    return bytes([len(text)]) + text.encode()
