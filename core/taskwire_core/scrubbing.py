"""Takes secrets out of texts that operators see: logs, Periskop, problems of connections.

Two nets. Patterns catch what looks like a secret wherever it stands: user and password of a
URL, `password=…`, authorization headers, keys, long tokens, the local part of an email address.
And what the present call or task was given is known: no part of it is repeated, however an
exception's text came by it.
"""

from __future__ import annotations

import re

from taskwire_core.scope import current_scope

MASK = "***"

_TELLING_NAMES = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|credentials?|authorization|cookie|signature|pepper"
)
_OF_KEY = r"[\w+=-]"
_LONGEST_USER = 1_000
_PATTERNS = [
    # A PEM block, also one whose end was cut off.
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)", re.DOTALL), MASK),
    (re.compile(rf"(\b[a-zA-Z][\w+.-]{{0,20}}://)\S{{0,{_LONGEST_USER}}}@"), rf"\1{MASK}@"),
    (
        re.compile(
            rf"([\w.-]{{0,40}}(?:{_TELLING_NAMES})[\w-]{{0,40}}[\"']?\s{{0,3}}(?:=>|[=:])\s{{0,3}})"
            r"(?:(?:bearer|basic|digest)\s+)?(?:\"[^\"]*\"?|'[^']*'?|[^\s,;&)}\]]+)",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b(bearer)\s+[\w.~+/=-]+", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\btw_\w+"), MASK),
    (re.compile(r"[\w.+-]{1,64}@(?=[\w-]+\.[\w.-]+)"), f"{MASK}@"),
    # PostgreSQL repeats values of rows in these.
    (re.compile(r"\b(DETAIL|CONTEXT|HINT|QUERY|LINE \d+):[^\n]*"), rf"\1: {MASK}"),
    # Hexadecimal digests and keys, longer than an id of ours.
    (re.compile(r"\b[0-9a-fA-F]{40,}\b"), MASK),
    # What mixes digits with both cases for so long is no name. It is looked for where such a
    # piece begins and nowhere within it, or a long one would be read once for each character.
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
    for word in _WORD.finditer(lowered):
        if word[0] in known:
            hidden[word.start() : word.end()] = [True] * len(word[0])
    # Large inputs are searched for words only: there are too many pieces to look for.
    if len(known) <= _MOST_SEARCHED:
        for start in range(len(text) - _SHARED_CHARS + 1):
            if lowered[start : start + _SHARED_CHARS] in known:
                hidden[start : start + _SHARED_CHARS] = [True] * _SHARED_CHARS
    return re.sub("\0+", MASK, "".join("\0" if h else c for c, h in zip(text, hidden, strict=True)))
