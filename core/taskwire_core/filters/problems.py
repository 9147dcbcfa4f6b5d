"""What is wrong with a filter, as the error that its author gets: where, what, and near matches."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from taskwire_core.errors import FieldViolation, InvalidRequest


def problem(position: int, sentence: str, *, near: Iterable[str] = ()) -> InvalidRequest:
    """INVALID_FILTER: `sentence` says what is wrong at `position`, a 0-based offset."""
    at = str(position + 1)
    found = list(near)
    hint = f" Did you mean {' or '.join(found)}?" if found else ""
    metadata = {"position": at}
    if found:
        metadata["near"] = ",".join(found)
    return InvalidRequest(
        "INVALID_FILTER",
        f"The filter is not valid at character {at}: {sentence}{hint}",
        metadata=metadata,
        violations=[FieldViolation("filter", f"at character {at}: {sentence}{hint}")],
    )


def near(word: str, known: Iterable[str]) -> list[str]:
    """Those of `known` that `word` may have been meant to be, whatever its case."""
    by_fold = {name.casefold(): name for name in known}
    return [by_fold[fold] for fold in difflib.get_close_matches(word.casefold(), by_fold)]


def shown(text: str) -> str:
    """`text` as a sentence quotes it, cut to a readable length."""
    return f'"{text if len(text) <= 40 else text[:40] + "…"}"'
