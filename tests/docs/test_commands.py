"""A reader who types what the pages say gets what the pages show."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, README, ROOT, Block, blocks, commands, name_of
from tests.docs.session import Session, matches
from tests.support.embedded import EmbeddedServer, environment
from tests.support.processes import free_ports
from tests.support.servers import RabbitServer, RedisServer

_LANES = frozenset({"polyglot", "services"})
_LANGUAGES = frozenset({"console", "python", "proto", "text", "javascript", "json", "yaml"})
_MARKS = _LANES | {"server", "make"}


def _with(word: str) -> list[Path]:
    return [page for page in PAGES if any(word in block.words for block in blocks(page))]


def _runnable(page: Path) -> bool:
    # An example project is followed outside the clone: test_example_project.py.
    return page.parent.parent != ROOT / "examples" and any(
        block.language in ("console", "python") and not block.words & (_LANES | {"make"})
        for block in blocks(page)
    )


@contextmanager
def reader(folder: Path, address: str, **places: str) -> Iterator[Session]:
    """A reader in a clone."""
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("protos", "examples", "tests"):
        (folder / name).symlink_to(ROOT / name)
    # Alembic writes new migrations here.
    shutil.copytree(ROOT / "db", folder / "db", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "alembic.ini", folder)
    here = {_DOCUMENTED[name]: url for name, url in [*places.items(), ("gateway", address)]}
    session = Session(folder, _environment(address), here)
    try:
        yield session
    finally:
        session.close()


def _environment(address: str) -> dict[str, str]:
    return {
        **environment(listen=address),
        "PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "NODE_PATH": str(ROOT / "tests" / "polyglot" / "node" / "node_modules"),
    }


_DOCUMENTED = {
    "gateway": "127.0.0.1:50051",
    "rabbit": "amqp://guest:guest@127.0.0.1:5672/%2f",
    "redis": "redis://127.0.0.1:6379/0",
}


@pytest.mark.parametrize("page", [page for page in PAGES if _runnable(page)], ids=name_of)
def test_what_a_page_says_is_what_happens(
    page: Path, embedded: EmbeddedServer, tmp_path: Path
) -> None:
    with reader(tmp_path, embedded.address) as session:
        for block in blocks(page):
            if not block.words & _LANES:
                session.follow(block)


@pytest.mark.polyglot
@pytest.mark.parametrize("page", _with("polyglot"), ids=name_of)
def test_what_a_page_says_of_other_languages_is_what_happens(
    page: Path, embedded: EmbeddedServer, tmp_path: Path
) -> None:
    with reader(tmp_path, embedded.address) as session:
        for block in blocks(page):
            if "services" not in block.words:
                session.follow(block)


@pytest.mark.servers
@pytest.mark.parametrize("page", _with("services"), ids=name_of)
def test_what_a_page_says_of_the_services_is_what_happens(
    page: Path, rabbit: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with reader(tmp_path, address, rabbit=rabbit.url, redis=redis_server.url) as session:
        # The page goes on in the folder that the README has made.
        files = [block for block in blocks(README) if block.file]
        for block in [*files, *blocks(page)]:
            if "services" in block.words or block.file:
                session.follow(block)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_block_is_left_out(page: Path) -> None:
    for block in blocks(page):
        assert block.language in _LANGUAGES, f"{name_of(page)}:{block.line} is not run"
        assert block.words <= _MARKS, f"{name_of(page)}:{block.line} has an unknown mark"
        if block.language in ("proto", "javascript", "json"):
            assert block.file, f"{name_of(page)}:{block.line} belongs to no file"
        if block.language == "console":
            assert commands(block), f"{name_of(page)}:{block.line} has no command"


def _make_commands() -> list[str]:
    return [
        command.text
        for page in PAGES
        for block in blocks(page)
        if "make" in block.words
        for command in commands(block)
    ]


@pytest.mark.parametrize("command", sorted(set(_make_commands())))
def test_a_make_command_is_a_target_that_make_help_shows(command: str) -> None:
    words = command.split()
    assert words[0] == "make"
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^{re.escape(words[1])}:.*## ", makefile, re.MULTILINE), command


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a", "a  \n", True),
        ("a … c", "a b c", True),
        ("a", "b", False),
        ("a.c", "abc", False),
        ("a\n…", "a", True),
        ("a\n…", "a\nb\nc", True),
        ("…\nc", "a\nb\nc", True),
        ("…\nc", "c", True),
        ("a\n…\nd", "a\nb\nc\nd", True),
        ("a\n…\nd", "a\nd", True),
        ("a\n…\nd", "a\nb", False),
    ],
)
def test_dots_stand_for_anything(expected: str, printed: str, same: bool) -> None:
    assert matches(expected, printed) is same


def test_a_command_may_go_on_in_the_next_line() -> None:
    block = Block("console", frozenset(), "", "$ a \\\n  b\nc\n$ d\n", 1)
    assert [(found.text, found.output) for found in commands(block)] == [
        ("a \\\n  b", ("c",)),
        ("d", ()),
    ]
