"""The two foreign callers as functions: grpcurl, and one call by a grpc-js program."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NODE = Path(__file__).parent / "node"
WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Curled:
    """What grpcurl printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # whatever the server answered
        """The one message."""
        assert self.code == 0, self.err
        return json.loads(self.out)

    @property
    def messages(self) -> list[Any]:
        """All messages of a stream."""
        assert self.code == 0, self.err
        decoder, text, found = json.JSONDecoder(), self.out.strip(), []
        while text:
            message, end = decoder.raw_decode(text)
            found.append(message)
            text = text[end:].lstrip()
        return found

    @property
    def error(self) -> Any:
        """The status, as `-format-error` prints it: code, message and decoded details."""
        assert self.code != 0, self.out
        return json.loads(self.err)


@dataclass(frozen=True, slots=True)
class Grpcurl:
    """The real grpcurl, which learns everything from reflection."""

    program: str
    address: str

    def __call__(self, *arguments: str) -> Curled:
        """What follows the address on the command line: `list`, or `describe` and a symbol."""
        return self._run([self.program, "-plaintext", self.address, *arguments])

    def call(
        self, method: str, request: object, headers: Mapping[str, str] | None = None
    ) -> Curled:
        """A call of `method` ("package.Service/Method") with a request given as JSON."""
        sent = [f"{key}: {value}" for key, value in (headers or {}).items()]
        flags = [part for header in sent for part in ("-H", header)]
        head = [self.program, "-plaintext", "-format-error", *flags]
        return self._run([*head, "-d", json.dumps(request), self.address, method])

    def _run(self, command: Sequence[str]) -> Curled:
        done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S)
        return Curled(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """What came of a call: its messages, or its error with the details decoded."""

    messages: list[Any]
    error: Any
    metadata: dict[str, Any]
    trailers: dict[str, Any]

    @property
    def message(self) -> Any:
        """The one message of a unary call."""
        assert self.error is None, self.error
        (message,) = self.messages
        return message


@dataclass(frozen=True, slots=True)
class NodeStub:
    """An ordinary grpc-js stub: descriptor sets, and the published service config."""

    program: str
    address: str
    sets: tuple[Path, ...]
    config: str = ""

    def start(
        self,
        method: str,
        request: object,
        metadata: Mapping[str, str] | None = None,
        timeout_s: float = WITHIN_S,
    ) -> subprocess.Popen[str]:
        """Begin a call of `method` ("package.Service/Method"); `answer` waits for its end."""
        service, _, name = method.partition("/")
        order = {
            "address": self.address,
            "sets": [str(file) for file in self.sets],
            "config": self.config,
            "service": service,
            "method": name,
            "request": request,
            "metadata": metadata or {},
            "timeoutMs": round(timeout_s * 1000),
        }
        process = subprocess.Popen(
            [self.program, str(NODE / "call.js")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(order))
        process.stdin.close()
        process.stdin = None
        return process

    def answer(self, process: subprocess.Popen[str]) -> NodeAnswer:
        """What came of a call that was begun."""
        try:
            out, err = process.communicate(timeout=WITHIN_S + 10)
        finally:
            process.kill()
        assert process.returncode == 0, err
        return NodeAnswer(**json.loads(out))

    def call(
        self, method: str, request: object, metadata: Mapping[str, str] | None = None
    ) -> NodeAnswer:
        """A whole call."""
        return self.answer(self.start(method, request, metadata))
