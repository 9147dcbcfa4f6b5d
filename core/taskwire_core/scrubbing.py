"""Takes secrets out of texts that operators see: logs, Periskop, problems of connections.

Two nets. Patterns catch what looks like a secret wherever it stands: user and password of a
URL, `password=…`, authorization headers, keys, long tokens, the local part of an email address.
And what the present call or task was given is known: no part of it is repeated, however an
exception's text came by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from taskwire_core.scope import current_scope

MASK = "***"

_TELLING_NAMES = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|credentials?|authorization|cookie|signature|pepper"
)
_OF_KEY = r"[\w+=-]"
_OF_USER = r"[\w.+-]"
# Callers choose the texts, and a search keeps the interpreter. So each of these reads a text about
# once: none begins with a repetition but where a piece begins, and what follows a repetition is
# none of its characters, so that nothing is gained by giving some back (`++`, `?>`).
_PATTERNS = [
    # A PEM block, also one whose end was cut off.
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)", re.DOTALL), MASK),
    (re.compile(r"(?<!\S)((?>\S*?://))\S*@"), rf"\1{MASK}@"),
    (
        re.compile(
            rf"((?>{_TELLING_NAMES})[\w-]{{0,40}}+[\"']?+\s{{0,3}}+(?:=>|[=:])\s{{0,3}})"
            r"(?:(?:bearer|basic|digest)\s+)?(?:\"[^\"]*\"?|'[^']*'?|[^\s,;&)}\]]+)",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b(bearer)\s+[\w.~+/=-]+", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\btw_\w+"), MASK),
    (re.compile(rf"(?<!{_OF_USER}){_OF_USER}++@(?=[\w-]+\.[\w.-]+)"), f"{MASK}@"),
    # PostgreSQL repeats values of rows in these.
    (re.compile(r"\b(DETAIL|CONTEXT|HINT|QUERY|LINE \d+):[^\n]*"), rf"\1: {MASK}"),
    # Hexadecimal digests and keys, longer than an id of ours.
    (re.compile(r"\b[0-9a-fA-F]{40,}\b"), MASK),
    # What mixes digits with both cases for so long is no name.
    (
        re.compile(
            rf"(?<!{_OF_KEY})(?={_OF_KEY}*\d)(?={_OF_KEY}*[a-z])(?={_OF_KEY}*[A-Z]){_OF_KEY}{{20,}}",
            re.ASCII,
        ),
        MASK,
    ),
]

_WORD = re.compile(r"\w{3,}")
_SHARED_CHARS = 6
_MOST_SEARCHED = 64 * 1024
_MOST_COMPARED = 256 * 1024 * 1024
"""How many characters of an input are compared with the words of a text, one word after another."""


def scrubbed(text: str) -> str:
    """`text` with everything masked that looks like a secret."""
    for pattern, mask in _PATTERNS:
        text = pattern.sub(mask, text)
    return text


def scrubbed_of_scope(text: str) -> str:
    """The same, and without any part of what the present call or task was given."""
    return scrubbed(without(text, current_scope().private))


def without(text: str, private: bytes) -> str:
    """`text` with every word masked that `private` contains, and every longer piece of it."""
    if not private or not text:
        return text
    known = private.decode("utf-8", "replace").lower()
    lowered = text.lower()
    if len(lowered) != len(text):
        # A letter that is two letters in lower case: positions would not fit any more.
        return MASK
    hidden = [False] * len(text)
    for start, end in (*_shared_words(lowered, known), *_shared_pieces(lowered, known)):
        hidden[start:end] = [True] * (end - start)
    return re.sub("\0+", MASK, "".join("\0" if h else c for c, h in zip(text, hidden, strict=True)))


def _shared_words(text: str, known: str) -> Iterator[tuple[int, int]]:
    """Where the words of `text` stand that `known` contains, and those too many to look for."""
    shared: dict[str, bool] = {}
    for found in _WORD.finditer(text):
        word = found[0]
        if word not in shared:
            too_many = len(shared) * len(known) > _MOST_COMPARED
            shared[word] = too_many or word in known
        if shared[word]:
            yield found.span()


def _shared_pieces(text: str, known: str) -> Iterator[tuple[int, int]]:
    """Where `text` has a piece of `known`. Large inputs have too many pieces to look for."""
    if len(known) > _MOST_SEARCHED:
        return
    shared = set(_pieces(text)).intersection(_pieces(known))
    for start, piece in enumerate(_pieces(text)):
        if piece in shared:
            yield start, start + _SHARED_CHARS


def _pieces(text: str) -> Iterator[str]:
    return (text[end - _SHARED_CHARS : end] for end in range(_SHARED_CHARS, len(text) + 1))
