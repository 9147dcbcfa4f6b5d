"""`python -m tests.mutations [NAME …] [--write]`: what `make mutations` runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.mutations.check import Verdict, check_of
from tests.mutations.guard import GUARDS, Guard, read_guards
from tests.mutations.page import PAGE, written
from tests.mutations.tree import ROOT


def main(arguments: Sequence[str], *, root: Path = ROOT, folder: Path = GUARDS) -> int:
    """0 when all of the guards that were asked for are caught."""
    parser = argparse.ArgumentParser(prog="make mutations")
    parser.add_argument("names", nargs="*", help="guards; all of them when none is named")
    parser.add_argument("--write", action="store_true", help=f"write their rows of {PAGE.name}")
    asked = parser.parse_args(arguments)
    guards = read_guards(folder)
    unknown = set(asked.names) - {guard.name for guard in guards}
    if unknown:
        parser.error(f"no guards: {', '.join(sorted(unknown))}")
    verdicts = _checked(root, [g for g in guards if not asked.names or g.name in asked.names])
    caught = sum(verdict.caught for verdict in verdicts)
    if len(verdicts) > 1:
        # Whoever reads the end of a long output looks for these.
        for verdict in verdicts:
            if not verdict.caught or verdict.tries > 1:
                print(_line(verdict))
    print(f"mutations: guards={len(verdicts)} caught={caught}")
    if not verdicts or caught < len(verdicts):
        return 1
    if asked.write:
        PAGE.write_text(written(PAGE.read_text(), guards, verdicts))
    return 0


def _checked(root: Path, guards: Sequence[Guard]) -> list[Verdict]:
    with check_of(root) as check:
        problems = check.unmutated(guards)
        if problems:
            print("\n".join(["Before anything is removed:", *problems]))
            return [Verdict(guard, (), 0, "not tried") for guard in guards]
        verdicts = []
        for verdict in check.verdicts(guards):
            print(_line(verdict), flush=True)
            verdicts.append(verdict)
        return verdicts


def _line(verdict: Verdict) -> str:
    if not verdict.caught:
        return f"{verdict.guard.name}: NOT CAUGHT: {verdict.problem}"
    names = ", ".join(test.rpartition("::")[2] for test in verdict.caught_by)
    tries = f", at try {verdict.tries}" if verdict.tries > 1 else ""
    return f"{verdict.guard.name}: caught by {names} ({verdict.seconds:.1f} s{tries})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
