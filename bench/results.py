"""A run as a file: what it was made on, and every round."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.rounds import Round


@dataclass(frozen=True, slots=True)
class Results:
    """One run."""

    began: str
    took_s: int
    pairs: int
    scale: float
    environment: dict[str, Any]
    rounds: list[Round]

    def write(self, path: Path) -> None:
        """As JSON, with a line for each round."""
        around = {**asdict(self), "rounds": []}
        lines = ",\n  ".join(json.dumps(asdict(each)) for each in self.rounds)
        text = json.dumps(around, indent=1).replace('"rounds": []', f'"rounds": [\n  {lines}\n ]')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


def read(path: Path) -> Results:
    """The run that `Results.write` has written there."""
    found = json.loads(path.read_text())
    return Results(**{**found, "rounds": [Round(**each) for each in found["rounds"]]})
