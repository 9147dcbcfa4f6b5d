"""Filters as text: what they mean, and the sentence for each that means nothing."""

from __future__ import annotations

import pytest

from taskwire_core.errors import InvalidRequest
from taskwire_core.failure import Code, FailureKind
from taskwire_core.filters import EVERYTHING, And, Field, Filter, Not, Operator, Or, Term
from taskwire_core.filters.parsing import parse
from taskwire_core.lifecycle import State

FAILED = Term(Field.STATE, Operator.EQUAL, State.FAILED)
MAIL = Term(Field.QUEUE, Operator.EQUAL, "mail")
TWICE = Term(Field.ATTEMPT, Operator.EQUAL, 2)


def label(key: str, value: str) -> Term:
    return Term(Field.LABEL, Operator.EQUAL, value, key)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", EVERYTHING),
        ("  \n ", EVERYTHING),
        ("state = FAILED", FAILED),
        ("state=FAILED", FAILED),
        ('state = "FAILED"', FAILED),
        ("state = TASK_STATE_FAILED", FAILED),
        ("state != FAILED", Not(FAILED)),
        ("error.kind = WORKER_LOST", Term(Field.ERROR_KIND, Operator.EQUAL, 3)),
        ("error.kind = KIND_POISON", Term(Field.ERROR_KIND, Operator.EQUAL, FailureKind.POISON)),
        ("queue = mail", MAIL),
        ("queue = 'mail'", MAIL),
        ("owner = ann@acme.dev", Term(Field.OWNER, Operator.EQUAL, "ann@acme.dev")),
        ("type = a.v1.S/M", Term(Field.TYPE, Operator.EQUAL, "a.v1.S/M")),
        ('type:"acme.images"', Term(Field.TYPE, Operator.WITHIN, "acme.images")),
        ("error.type:builtins", Term(Field.ERROR_TYPE, Operator.WITHIN, "builtins")),
        ("labels.customer = acme", label("customer", "acme")),
        ("labels.customer:acme", label("customer", "acme")),
        ("labels.a.b-c = 1", label("a.b-c", "1")),
        ('labels."a.b-c" = 1', label("a.b-c", "1")),
        ("labels.'a.b-c' = 1", label("a.b-c", "1")),
        ("labels.note = 'it''s'", None),
        (r"labels.note = 'it\'s'", label("note", "it's")),
        (r'labels.note = "a \\ b"', label("note", r"a \ b")),
        ('labels.note = "*"', label("note", "*")),
        ('labels.note = ""', label("note", "")),
        ("labels.url = http://acme.dev:80/a", label("url", "http://acme.dev:80/a")),
        ("labels.customer:*", Term(Field.LABEL, Operator.PRESENT, "", "customer")),
        ("labels.n = ANDY", label("n", "ANDY")),
        ("attempt = 2", TWICE),
        ("attempt >= 2", Term(Field.ATTEMPT, Operator.AT_LEAST, 2)),
        ("attempt > -1", Term(Field.ATTEMPT, Operator.GREATER, -1)),
        ("attempt<3", Term(Field.ATTEMPT, Operator.LESS, 3)),
        ("attempt <= 3", Term(Field.ATTEMPT, Operator.AT_MOST, 3)),
        ("end_time:*", Term(Field.END_TIME, Operator.PRESENT, "")),
        ("create_time > 1970-01-01T00:00:01Z", Term(Field.CREATE_TIME, Operator.GREATER, 10**6)),
        (
            "update_time = 1970-01-01T01:00:00.000005+01:00",
            Term(Field.UPDATE_TIME, Operator.EQUAL, 5),
        ),
        ("create_time < '1969-12-31T23:59:59z'", Term(Field.CREATE_TIME, Operator.LESS, -(10**6))),
        ("NOT state = FAILED", Not(FAILED)),
        ("-state = FAILED", Not(FAILED)),
        ("NOT (state = FAILED)", Not(FAILED)),
        ("NOT(NOT state = FAILED)", Not(Not(FAILED))),
        ("((state = FAILED))", FAILED),
        ("state = FAILED AND queue = mail", And((FAILED, MAIL))),
        ("state = FAILED OR queue = mail", Or((FAILED, MAIL))),
        ("state = FAILED AND queue = mail AND attempt = 2", And((FAILED, MAIL, TWICE))),
        # OR binds tighter than AND, as AIP-160 has it.
        ("state = FAILED AND queue = mail OR attempt = 2", And((FAILED, Or((MAIL, TWICE))))),
        ("state = FAILED OR queue = mail AND attempt = 2", And((Or((FAILED, MAIL)), TWICE))),
        ("(state = FAILED AND queue = mail) OR attempt = 2", Or((And((FAILED, MAIL)), TWICE))),
        ("NOT state = FAILED OR queue = mail", Or((Not(FAILED), MAIL))),
    ],
)
def test_a_filter_means(text: str, meaning: Filter | None) -> None:
    if meaning is None:
        with pytest.raises(InvalidRequest):
            parse(text)
    else:
        assert parse(text) == meaning


@pytest.mark.parametrize(
    ("text", "position", "sentence", "near"),
    [
        ("stat = FAILED", 1, 'there is no field "stat"', "state"),
        ("state = FAILED AND Queue = mail", 20, 'there is no field "Queue"', "queue"),
        ("label.customer = acme", 1, "there is no field", "labels"),
        ("input.url = x", 1, "expected one of state, type, queue, owner, attempt", ""),
        ("state = FALED", 9, '"FALED" is no state', "FAILED"),
        ("state = failed", 9, "expected one of SCHEDULED, QUEUED, RUNNING", "FAILED"),
        ("error.kind = TIMOUT", 14, '"TIMOUT" is no error.kind', "TIMEOUT"),
        ("state > FAILED", 7, "state has no order; expected = or !=, found >.", ""),
        ("labels.n >= 5", 10, "labels.n has no order", ""),
        ("state:FAILED", 6, "expected = after state", ""),
        ("attempt:3", 8, "expected = after attempt", ""),
        ("type:*", 6, "every task has a type", ""),
        ("state = *", 9, "expected a value, found *", ""),
        ('type:""', 6, "expected the first parts of a name", ""),
        ('attempt = "x"', 11, '"x" is no whole number', ""),
        ("attempt = 1.5", 11, '"1.5" is no whole number', ""),
        ("attempt = 12345678901234567890", 11, "is no whole number", ""),
        ("attempt = ٣", 11, "is no whole number", ""),
        ("create_time > yesterday", 15, "expected one of RFC 3339", ""),
        ("create_time > 2026-01-31", 15, "expected one of RFC 3339", ""),
        ("create_time > 2026-01-31T12:00:00", 15, "expected one of RFC 3339", ""),
        ("create_time > 2026-02-30T12:00:00Z", 15, "expected one of RFC 3339", ""),
        ("create_time > 2026-01-31T12:00:00.1234567Z", 15, "to the microsecond at most", ""),
        ("labels = acme", 1, "expected a label as labels.KEY", ""),
        ("labels.9 = acme", 1, "expected a label as labels.KEY", ""),
        ("labels.'a b' = acme", 1, "expected a label as labels.KEY", ""),
        ("labels." + "k" * 64 + " = x", 1, "a key is a letter, then up to 62", ""),
        ('labels.a = "\0"', 12, "no character of code 0", ""),
        ("state", 6, "expected one of = != < <= > >= :, found the end.", ""),
        ("state FAILED", 7, 'expected one of = != < <= > >= :, found "FAILED".', ""),
        ("state =", 8, "expected a value, found the end.", ""),
        ("state = ", 8, "expected a value, found the end.", ""),
        ("state == FAILED", 8, 'expected a value, found "=".', ""),
        ("state = AND", 9, 'expected a value, found "AND".', ""),
        ("state = (FAILED)", 9, 'expected a value, found "(".', ""),
        ("= FAILED", 1, "expected NOT, ( or a field", ""),
        ("state = FAILED AND", 19, "found the end.", ""),
        ("state = FAILED AND AND queue = a", 20, 'found "AND".', ""),
        ("NOT NOT state = FAILED", 5, "expected ( or a field", ""),
        ("state = FAILED queue = a", 16, 'expected AND, OR or the end, found "queue".', ""),
        ("state = FAILED and queue = a", 16, 'found "and".', "AND"),
        ("state = FAILED, queue = a", 15, "is put in quotes", ""),
        ("labels.a = b*", 13, 'found "*".', ""),
        ("(state = FAILED", 16, "expected AND, OR or ), found the end.", ""),
        ("state = FAILED)", 15, 'expected AND, OR or the end, found ")".', ""),
        ('queue = "mail', 9, "A quote is opened here and never closed.", ""),
        ('labels."a = 1', 7, 'found ".".', ""),
        ("sum(attempt) = 3", 4, "expected one of =", ""),
        ("ä = 1", 1, 'found "ä".', ""),
        ("🦉", 1, "expected NOT, ( or a field", ""),
        (" OR ".join(["attempt = 2"] * 21), 301, "at most 20 comparisons", ""),
        ("(" * 11 + "attempt = 2" + ")" * 11, 11, "at most 10 deep", ""),
        ("queue = " + "q" * 5000, 4097, "at most 4096 characters", ""),
    ],
)
def test_what_is_no_filter_is_refused_in_words(
    text: str, position: int, sentence: str, near: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(text)
    error = caught.value
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "INVALID_FILTER")
    assert error.metadata == {"position": str(position), **({"near": near} if near else {})}
    assert error.message.startswith(f"The filter is not valid at character {position}: ")
    assert sentence in error.message
    assert [v.field for v in error.violations] == ["filter"]


def test_twenty_terms_ten_deep_are_within_the_limits() -> None:
    nested = "(" * 10 + "attempt = 2" + ")" * 10
    assert parse(" OR ".join([nested] * 20)) == Or((TWICE,) * 20)


def test_a_filter_of_the_greatest_length_is_parsed() -> None:
    value = "q" * (4096 - len("queue = "))
    assert parse(f"queue = {value}") == Term(Field.QUEUE, Operator.EQUAL, value)


def test_a_position_counts_characters_and_not_bytes() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse('labels.town = "Zürich 🦉" AND statf = FAILED')
    assert caught.value.metadata["position"] == "30"
