"""`taskwire submit-many`: a task for each line of a file, over one stream."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import click
from google.protobuf import json_format

from taskwire.client import Client, UnknownName
from taskwire.v1 import task_service_pb2
from taskwire_cli.connection import address_option, connected
from taskwire_cli.exits import Exit, Stop
from taskwire_cli.json_form import message_json, print_json
from taskwire_cli.tables import on_one_line

Request = task_service_pb2.SubmitTaskRequest
Response = task_service_pb2.SubmitTaskResponse
Acknowledgement = task_service_pb2.StreamSubmitTasksResponse

_HELP = """Submit a task for each line of FILE, or of standard input for -.

A line is a SubmitTaskRequest in protobuf's JSON form, whose `input` needs no "@type": the task
type says it. Each is acknowledged by a line of JSON as soon as it is committed, in any order;
`line` is its number in FILE. A line that is refused holds up no other one.

\b
Example:
  echo '{"type": "taskwire.examples.v1.MathTasks/Divide",
         "input": {"dividend": 84, "divisor": 2}, "labels": {"customer": "acme"}}' |
    tr -d '\\n' | taskwire submit-many -

\b
Exit codes:
  0  every line was submitted
  3  some line was refused: its acknowledgement has an `error`
"""


class _Lines:
    """The requests in a file; what cannot be read is answered here and not sent."""

    def __init__(self, client: Client, file: BinaryIO) -> None:
        self._client = client
        self._file = file
        self._numbers: dict[str, int] = {}
        self._sent = 0
        # The requests are made in a thread of the client's, the answers printed in ours.
        self._schema = threading.Lock()
        self.refused = False
        """Whether any line was."""

    def requests(self) -> Iterator[Request]:
        for number, line in enumerate(self._file, start=1):
            if not line.strip():
                continue
            try:
                request = self._request(line)
            except ValueError as error:
                self._refuse(number, {"message": on_one_line(str(error))})
                continue
            except RecursionError:
                self._refuse(number, {"message": "the JSON is nested too deeply"})
                continue
            self._numbers[str(self._sent)] = number
            self._sent += 1
            yield request

    def answer(self, answer: Acknowledgement) -> None:
        """Print the acknowledgement of one line."""
        number = self._numbers.pop(answer.client_ref)
        if answer.HasField("error"):
            with self._schema:
                error = message_json(answer.error, self._client.schema)
            self._refuse(number, error)
        else:
            disposition = Response.Disposition.Name(answer.ok.disposition)
            found = {"line": number, "id": answer.ok.task.id, "disposition": disposition}
            print_json(found, one_line=True)

    def _refuse(self, number: int, error: dict[str, Any]) -> None:
        self.refused = True
        print_json({"line": number, "error": error}, one_line=True)

    def _request(self, line: bytes) -> Request:
        found = json.loads(line.decode())
        if not isinstance(found, dict) or not isinstance(found.get("type"), str):
            raise ValueError('a line must be a JSON object with a "type"')
        payload = found.pop("input", {})
        try:
            request = json_format.ParseDict(found, Request())
        except json_format.ParseError as error:
            raise ValueError(str(error).partition("\n")[0]) from None
        try:
            with self._schema:
                message = self._client.input_message(request.type, json.dumps(payload))
        except UnknownName:
            where = self._client.target
            raise ValueError(f"the server at {where} has no task type {request.type}") from None
        request.input.type_url = f"type.googleapis.com/{message.DESCRIPTOR.full_name}"
        request.input.value = message.SerializeToString()
        return request


@click.command("submit-many", help=_HELP)
@click.argument("file")
@address_option
def submit_many(file: str, address: str | None) -> int:
    """Stream the lines, print the acknowledgements."""
    with _open(file) as opened, connected(address) as client:
        lines = _Lines(client, opened)
        for answer in client.submit_many(lines.requests()):
            lines.answer(answer)
    return Exit.REFUSED if lines.refused else Exit.OK


def _open(file: str) -> AbstractContextManager[BinaryIO]:
    # As bytes: each line is decoded by itself, so that one that is no text is the only one refused.
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise Stop(f"cannot read {file}: {error.strerror}") from None
