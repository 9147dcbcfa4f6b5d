"""The pages of the documentation, cut into their code blocks and tables.

A block's first line says what the tests do with it, which readers do not see:

- `console`: its `$ ` lines are run, one shell for the page; the lines below each are what it
  prints, where `…` stands for any text, and on a line of its own for any number of lines. A
  command that fails must be followed by `$ echo $?`.
- `console server`: one command that runs until the page's end; it is ready when it has printed
  the lines below it.
- `console polyglot` and `console services`: the same with grpcurl or Node, and beside RabbitMQ
  and Redis. `console services server` is a server among the latter.
- `console make`: targets of the Makefile, which are not run from a test.
- `python`: a program that is run. With `file=NAME` any language is only written to that file.
- `text`: a picture. `yaml`: a part of somebody else's configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/README.md")])

_FENCE = re.compile(r"^```(\S+)?(.*)$")
_CODE = re.compile(r"`[^`]*`")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: `words` are the marks after its language, `file` the `file=` among them."""

    language: str
    words: frozenset[str]
    file: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Command:
    """One `$ ` command of a console block, and the lines that it prints."""

    text: str
    output: tuple[str, ...]


def name_of(page: Path) -> str:
    """The page's name for people."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of `page`, in their order."""
    found: list[Block] = []
    head: re.Match[str] | None = None
    lines: list[str] = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if fence is None:
            lines.append(line)
        elif head is None:
            head, lines = fence, []
        else:
            found.append(_block(head, "\n".join(lines) + "\n", number - len(lines)))
            head, lines = None, []
    assert head is None, f"{name_of(page)} has a block without an end"
    return found


def _block(head: re.Match[str], text: str, line: int) -> Block:
    words = head[2].split()
    files = [word.removeprefix("file=") for word in words if word.startswith("file=")]
    return Block(
        language=head[1] or "",
        words=frozenset(word for word in words if not word.startswith("file=")),
        file=files[0] if files else "",
        text=text,
        line=line,
    )


def commands(block: Block) -> list[Command]:
    """The commands of a console block; a line that ends in a backslash goes on in the next."""
    found: list[tuple[list[str], list[str]]] = []
    goes_on = False
    for line in block.text.splitlines():
        if goes_on:
            found[-1][0].append(line)
        elif line.startswith("$ "):
            found.append(([line[2:]], []))
        else:
            assert found, f"a console block begins with output: {line}"
            found[-1][1].append(line)
        goes_on = (goes_on or line.startswith("$ ")) and line.endswith("\\")
    return [Command("\n".join(command), tuple(output)) for command, output in found]


def prose(page: Path) -> str:
    """The page without its blocks."""
    kept, inside = [], False
    for line in page.read_text().splitlines():
        if _FENCE.match(line):
            inside = not inside
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def table(page: Path, *heading: str) -> list[list[str]]:
    """The rows of all tables of `page` whose columns are called `heading`."""
    rows: list[list[str]] = []
    inside = False
    for line in prose(page).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells == list(heading):
            inside = True
        elif inside and not set(line) <= set("|-: "):
            rows.append(cells)
    return rows


def code_spans(page: Path) -> Iterator[str]:
    """What stands in backticks in the page's prose."""
    for found in _CODE.finditer(prose(page)):
        yield found[0].strip("`")


def page(name: str) -> Path:
    """The page of that name, such as "docs/errors.md"."""
    return ROOT / name
