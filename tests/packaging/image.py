"""The Dockerfile and .dockerignore, taken apart."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its word in capitals, and the rest of it on one line."""

    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        """The rest as a shell or a JSON array would have it."""
        return json.loads(self.rest) if self.rest.startswith("[") else shlex.split(self.rest)


def instructions() -> list[Instruction]:
    """Every instruction of the Dockerfile, in order."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if line.strip())
    return [Instruction(word, rest) for word, rest in pairs]


def stages() -> list[list[Instruction]]:
    """The instructions of each stage, its FROM first."""
    found: list[list[Instruction]] = []
    for each in instructions():
        if each.word == "FROM":
            found.append([])
        found[-1].append(each)
    return found


def copied() -> list[str]:
    """What the stages copy out of the clone."""
    words = [each.words for each in instructions() if each.word == "COPY"]
    return [source for line in words if not line[0].startswith("--from") for source in line[:-1]]


def variables() -> dict[str, str]:
    """The environment that the image sets."""
    words = [word for each in instructions() if each.word == "ENV" for word in each.words]
    return dict(word.split("=", 1) for word in words)


def let_through() -> list[str]:
    """The patterns of .dockerignore that keep something from being ignored."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line[1:] for line in lines if line.startswith("!")]
