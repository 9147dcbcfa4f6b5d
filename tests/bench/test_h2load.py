"""What is made of h2load's log; a program that only writes one stands for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.load.h2load import H2load, Request, grpc_request

STAND_IN = """#!{python}
import sys
(log,) = [word.partition("=")[2] for word in sys.argv if word.startswith("--log-file=")]
open(log, "w").write({rows!r})
"""
REQUEST = Request("/path", b"body", (), http1=True, status=202)


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, *rows: str) -> None:
    program = folder / "h2load"
    program.write_text(STAND_IN.format(python=sys.executable, rows="\n".join(rows)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_a_run_lasts_from_the_first_request_to_the_last_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, "3000000\t202\t500000", "2000000\t202\t250000")
    client = H2load(["127.0.0.1:1"], REQUEST, calls=2, clients=1)
    try:
        seen = client.finish()
    finally:
        client.close()
    assert (seen.first, seen.answered, seen.seconds) == (2.0, 3.5, [0.5, 0.25])


@pytest.mark.parametrize("rows", [["1\t202\t1", "1\t500\t1"], ["1\t202\t1"]])
def test_a_request_that_was_not_answered_as_it_should_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[str]
) -> None:
    stand_in(tmp_path, monkeypatch, *rows)
    client = H2load(["127.0.0.1:1"], REQUEST, calls=2, clients=1)
    try:
        with pytest.raises(AssertionError):
            client.finish()
    finally:
        client.close()


def test_each_message_of_a_call_stands_behind_its_length() -> None:
    assert grpc_request("/m", b"ab", b"c").body == b"\0\0\0\0\2ab\0\0\0\0\1c"
