"""h2load as the client: it costs a tenth of what the servers do, and is the same for all of them.

It knows nothing of gRPC, whose status is in the trailers. So every status of HTTP is looked at
here, and what was really accepted is counted in the subject's own records after the round.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.load.seen import Seen, together

PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request, which is repeated as it is."""

    path: str
    body: bytes
    headers: tuple[str, ...]
    http1: bool
    status: int


def grpc_request(method: str, *messages: bytes) -> Request:
    """A call with these messages, each behind its five bytes: not compressed, and its length."""
    body = b"".join(b"\0" + len(message).to_bytes(4) + message for message in messages)
    return Request(method, body, ("content-type: application/grpc", "te: trailers"), False, 200)


def json_request(path: str, body: bytes) -> Request:
    """A POST that is answered with 202."""
    return Request(path, body, ("content-type: application/json",), True, 202)


class H2load:
    """One run against one address or several at once; `finish` waits for it."""

    def __init__(
        self, addresses: Sequence[str], request: Request, *, calls: int, clients: int
    ) -> None:
        self._request = request
        self._folder = tempfile.TemporaryDirectory(prefix="taskwire-h2load-")
        body = Path(self._folder.name, "body")
        body.write_bytes(request.body)
        share = len(addresses)
        self._calls = calls // share
        command = ["h2load", f"--data={body}", f"-n{self._calls}", f"-c{clients // share}"]
        command += [f"--header={header}" for header in request.headers]
        command += ["--h1"] if request.http1 else []
        self._processes = [
            subprocess.Popen(
                [*command, f"--log-file={self._log(number)}", f"http://{address}{request.path}"],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for number, address in enumerate(addresses)
        ]

    def finish(self) -> Seen:
        """What it has seen; AssertionError if a request got another status than it should."""
        said = [process.communicate(timeout=PATIENCE_S)[0] for process in self._processes]
        return together([self._seen(number, text) for number, text in enumerate(said)])

    def close(self) -> None:
        """End it, and remove its files."""
        for process in self._processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        self._folder.cleanup()

    def _log(self, number: int) -> Path:
        return Path(self._folder.name, f"{number}.log")

    def _seen(self, number: int, said: str) -> Seen:
        rows = [[int(n) for n in row.split()] for row in self._log(number).read_text().splitlines()]
        wanted = [row for row in rows if row[1] == self._request.status]
        assert len(rows) == len(wanted) == self._calls, said
        return Seen(
            min(began for began, _, _ in rows) / 1e6,
            max(began + took for began, _, took in rows) / 1e6,
            [took / 1e6 for _, _, took in rows],
        )
