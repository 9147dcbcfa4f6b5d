"""A reader who follows one page: a folder, a shell, and the servers that the page starts."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.docs.pages import Block, Command, commands
from tests.support.eventually import eventually
from tests.support.processes import alive, free_ports, spawn, stop_group

_FURTHER_ADDRESSES = ("127.0.0.1:50052", "127.0.0.1:50080", "127.0.0.1:2525")


class Session:
    """`follow` the blocks of a page in their order, in `folder`, then `close`.

    `places` are what the page says of this machine, such as addresses, and what that is in this
    test.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], places: Mapping[str, str]
    ) -> None:
        self._folder = folder
        further = [f"127.0.0.1:{port}" for port in free_ports(len(_FURTHER_ADDRESSES))]
        self._places = {**places, **dict(zip(_FURTHER_ADDRESSES, further, strict=True))}
        self._servers: list[subprocess.Popen[bytes]] = []
        self._code = 0
        # A shell of our own, so that `cd`, `export` and `$?` work from one command to the next.
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )

    def follow(self, block: Block) -> None:
        """Do what the block says, and compare what it prints."""
        if block.file:
            self._write(block.file, self._here(block.text))
        elif block.language == "python":
            name = f"example_{block.line}.py"
            self._write(name, self._here(block.text))
            self._check(Command(f"python {name}", ()), last=True)
        elif block.language == "console" and "server" in block.words:
            (command,) = commands(block)
            self._serve(command)
        elif block.language == "console" and "make" not in block.words:
            found = commands(block)
            for index, command in enumerate(found):
                after = found[index + 1].text if index + 1 < len(found) else ""
                self._check(command, last=after != "echo $?")

    def close(self) -> None:
        """End the shell and every server, in order."""
        for server in reversed(self._servers):
            stop_group(server)
        for pipe in (self._shell.stdin, self._shell.stdout):
            assert pipe is not None
            pipe.close()
        # With everything that the shell has started: a test that failed may leave a command.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait(10)

    def _here(self, text: str) -> str:
        for documented, real in self._places.items():
            text = text.replace(documented, real)
        return text

    def _write(self, name: str, text: str) -> None:
        file = self._folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def _check(self, command: Command, *, last: bool) -> None:
        printed, code = self._run(self._here(command.text))
        assert code == 0 or not last, f"$ {command.text}\nexit code {code}\n{printed}"
        if command.output:
            expected = self._here("\n".join(command.output))
            assert matches(expected, printed), (
                f"$ {command.text}\nprinted:\n{printed}\nthe page says:\n{expected}"
            )

    def _run(self, command: str) -> tuple[str, int]:
        mark = secrets.token_hex(8)
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        # The group has an input of its own: a command must not read the rest of the page.
        self._shell.stdin.write(
            f"(exit {self._code}); {{ {command}\n}} </dev/null\nprintf '\\n{mark} %d\\n' $?\n"
        )
        self._shell.stdin.flush()
        lines: list[str] = []
        for line in self._shell.stdout:
            if line.startswith(mark):
                self._code = int(line.split()[1])
                return "".join(lines), self._code
            lines.append(line)
        raise AssertionError(f"the shell ended at: {command}\n{''.join(lines)}")

    def _serve(self, command: Command) -> None:
        log = self._folder / f"server{len(self._servers)}.log"
        now = self._environment()
        server = spawn(
            ["bash", "-c", f'cd "{now["PWD"]}" && exec env {self._here(command.text)}'],
            env=now,
            log=log,
        )
        self._servers.append(server)
        expected = self._here("\n".join(command.output))

        def ready() -> bool:
            printed = log.read_text()
            if not alive(server):
                raise RuntimeError(f"$ {command.text}\nended:\n{printed}")
            assert matches(expected, printed), printed
            return True

        eventually(ready, within=30, what=f"{command.text} prints {expected}")

    def _environment(self) -> dict[str, str]:
        printed, _ = self._run("env -0 | tr '\\0' '\\n'")
        pairs = (line.partition("=") for line in printed.splitlines() if "=" in line)
        return {name: value for name, _, value in pairs}


def matches(expected: str, printed: str) -> bool:
    """Whether `printed` is `expected`, trailing white space aside; `…` stands for anything."""
    return _same(_lines(expected), _lines(printed))


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def _same(expected: list[str], printed: list[str]) -> bool:
    if not expected:
        return not printed
    first, rest = expected[0], expected[1:]
    if first == "…":
        return any(_same(rest, printed[skipped:]) for skipped in range(len(printed) + 1))
    if not printed:
        return False
    pattern = ".*".join(re.escape(part) for part in first.split("…"))
    return re.fullmatch(pattern, printed[0]) is not None and _same(rest, printed[1:])
