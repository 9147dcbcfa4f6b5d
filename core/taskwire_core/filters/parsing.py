"""A filter's text to terms, or to the sentence that tells its author what is wrong where.

The grammar is the part of AIP-160 that tasks need. As there, OR binds tighter than AND: `a AND
b OR c` is `a AND (b OR c)`. What AIP-160 leaves to the service and a reader could take in two
ways (bare words, terms side by side, wildcards inside a value, functions) is refused.
"""

from __future__ import annotations

import functools
import re

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.parsers.lalr_interactive_parser import InteractiveParser

from taskwire_core.errors import InvalidRequest
from taskwire_core.filters.problems import near, problem, shown
from taskwire_core.filters.terms import EVERYTHING, And, Field, Filter, Not, Operator, Or, Term
from taskwire_core.filters.values import DOTTED, OPTIONAL, is_ordered, value_of

MAX_TERMS = 20
MAX_NESTING = 10
"""How deep parentheses may stand within one another."""
MAX_LENGTH = 4096
"""Characters, as the contract says."""

# Words and values are told apart by what the grammar allows where they stand: an unquoted value
# may hold ":" and "-", so that times and types need no quotes.
_GRAMMAR = r"""
    ?start: conjunction
    ?conjunction: disjunction (_AND disjunction)*
    ?disjunction: negation (_OR negation)*
    ?negation: simple | (_NOT | _MINUS) simple -> negated
    ?simple: comparison | _OPEN conjunction _CLOSE
    comparison: FIELD COMPARATOR (WORD | QUOTED | STAR)

    FIELD: /(?!(?:AND|OR|NOT)\b)[A-Za-z_]\w*(?:\.(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[\w.-]+))?/
    COMPARATOR: /[!<>]=|[=<>:]/
    WORD: /(?!(?:AND|OR|NOT)(?![^\s)]))[^\s"'()<>=!:*,\\][^\s"'()<>=!*,\\]*/
    QUOTED: /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/s
    STAR: "*"
    _AND: /AND\b/
    _OR: /OR\b/
    _NOT: /NOT\b/
    _MINUS: "-"
    _OPEN: "("
    _CLOSE: ")"
    %ignore /\s+/
"""
_parser = Lark(_GRAMMAR, parser="lalr")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_LABEL_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}", re.ASCII)
_FIELDS = [field.value for field in Field if field != Field.LABEL]
_CHOICES = ", ".join([*_FIELDS, "labels.KEY"])


@functools.lru_cache(maxsize=256)
def parse(text: str) -> Filter:
    """The filter that `text` is; the empty one matches everything.

    Raises:
        InvalidRequest: INVALID_FILTER, with the 1-based position of what is wrong.
    """
    if len(text) > MAX_LENGTH:
        raise problem(MAX_LENGTH, f"a filter has at most {MAX_LENGTH} characters.")
    if not text.strip():
        return EVERYTHING
    interactive = _parser.parse_interactive(text)
    try:
        _feed(interactive)
        tree = interactive.feed_eof()  # type: ignore[no-untyped-call]  # untyped there
    except UnexpectedInput as error:
        raise _syntax(text, error, interactive) from None
    return _filter(tree)


def _feed(interactive: InteractiveParser) -> None:
    """Give all tokens to the parser, and stop where there are too many of a kind."""
    terms, depth = 0, 0
    for token in interactive.iter_parse():
        terms += token.type == "FIELD"
        depth += (token.type == "_OPEN") - (token.type == "_CLOSE")
        if terms > MAX_TERMS:
            raise problem(_start(token), f"a filter has at most {MAX_TERMS} comparisons.")
        if depth > MAX_NESTING:
            raise problem(_start(token), f"parentheses are at most {MAX_NESTING} deep.")


def _syntax(text: str, error: UnexpectedInput, interactive: InteractiveParser) -> InvalidRequest:
    position = _position(text, error)
    accepted = interactive.accepts()  # type: ignore[no-untyped-call]  # untyped there
    found = re.match(r"\w+|\S|$", text[position:])
    word = found.group() if found else ""
    what = f"found {shown(word)}" if word else "found the end"
    expected, choices = _expected(accepted)
    hint = _hint(text[position:], accepted)
    return problem(position, f"expected {expected}, {what}.{hint}", near=near(word, choices))


def _hint(rest: str, accepted: set[str]) -> str:
    if rest[:1] in ("'", '"') and not _QUOTED.match(rest):
        return " A quote is opened here and never closed."
    if "_AND" in accepted and rest and not rest[0].isalnum():
        return " A value with other characters than letters, digits and . / - _ : is put in quotes."
    return ""


def _position(text: str, error: UnexpectedInput) -> int:
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return len(text.rstrip())
    if isinstance(error, UnexpectedCharacters | UnexpectedToken):
        return error.pos_in_stream or 0
    return 0


def _expected(accepted: set[str]) -> tuple[str, list[str]]:
    """What may stand here, in words, and the words among it that may have been misspelt."""
    if "FIELD" in accepted:
        start, words = ("NOT, ( or", ["NOT"]) if "_NOT" in accepted else ("( or", [])
        return f"{start} a field ({_CHOICES})", words
    if "COMPARATOR" in accepted:
        return "one of = != < <= > >= :", []
    if "WORD" in accepted:
        return "a value", []
    close = " or )" if "_CLOSE" in accepted else " or the end"
    return f"AND, OR{close}", ["AND", "OR"]


def _filter(tree: Tree[Token] | Token) -> Filter:
    assert isinstance(tree, Tree), "the grammar keeps tokens in comparisons only"
    if tree.data == "comparison":
        field, comparator, value = tree.children
        assert isinstance(field, Token)
        assert isinstance(comparator, Token)
        assert isinstance(value, Token)
        return _comparison(field, comparator, value)
    parts = tuple(_filter(child) for child in tree.children)
    if tree.data == "negated":
        return Not(parts[0])
    return And(parts) if tree.data == "conjunction" else Or(parts)


def _comparison(name: Token, comparator: Token, value: Token) -> Filter:
    field, label = _field(name)
    if value.type == "STAR":
        return _present(field, label, comparator, value)
    text = _unquoted(value) if value.type == "QUOTED" else str(value)
    if comparator == ":":
        return _has(field, label, comparator, text, _start(value))
    if comparator in ("=", "!="):
        term = Term(field, Operator.EQUAL, value_of(field, text, _start(value)), label)
        return term if comparator == "=" else Not(term)
    if not is_ordered(field):
        raise problem(
            _start(comparator), f"{name} has no order; expected = or !=, found {comparator}."
        )
    return Term(field, Operator(comparator), value_of(field, text, _start(value)))


def _present(field: Field, label: str, comparator: Token, star: Token) -> Filter:
    if comparator != ":":
        raise problem(
            _start(star),
            'expected a value, found *, which stands behind ":" only; the text is "*" in quotes.',
        )
    if field not in OPTIONAL:
        raise problem(
            _start(star),
            f'every task has a {field}; ":*" is for labels.KEY, error.type, error.kind, end_time.',
        )
    return Term(field, Operator.PRESENT, "", label)


def _has(field: Field, label: str, comparator: Token, text: str, position: int) -> Filter:
    if field == Field.LABEL:
        return Term(field, Operator.EQUAL, value_of(field, text, position), label)
    if field not in DOTTED:
        raise problem(
            _start(comparator),
            f'":" with a value is for type, error.type and labels.KEY; expected = after {field}.',
        )
    if not text:
        raise problem(position, "expected the first parts of a name, found an empty value.")
    return Term(field, Operator.WITHIN, value_of(field, text, position))


def _field(token: Token) -> tuple[Field, str]:
    """The field, and the key of a label."""
    first, _, rest = token.partition(".")
    if first == Field.LABEL:
        return Field.LABEL, _label(token, rest)
    if token in _FIELDS:
        return Field(token), ""
    raise problem(
        _start(token),
        f"there is no field {shown(token)}; expected one of {_CHOICES}.",
        near=near(token, _FIELDS) or near(first, ["labels"]),
    )


def _label(token: Token, rest: str) -> str:
    key = _unquoted(rest) if rest[:1] in ("'", '"') else rest
    if not _LABEL_KEY.fullmatch(key):
        raise problem(
            _start(token),
            "expected a label as labels.KEY; a key is a letter, then up to 62 letters, digits and"
            ' any of . _ -, and may be in quotes, as in labels."team.name".',
        )
    return key


def _unquoted(text: str) -> str:
    return _ESCAPED.sub(r"\1", text[1:-1])


def _start(token: Token) -> int:
    return token.start_pos or 0
