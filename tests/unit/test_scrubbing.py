"""What operators read holds no secret: by its looks, and by what the call was given."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from taskwire_core import scrubbing
from taskwire_core.scrubbing import scrubbed, without

SECRET = "hunter2Canary"


@pytest.mark.parametrize(
    "text",
    [
        f"cannot connect to amqp://user:{SECRET}@rabbit:5672/%2f",
        f"redis://:{SECRET}@redis:6379/0 is away",
        f"postgresql+psycopg://u:p@{SECRET}@db/x",
        f"password={SECRET}",
        f"Password: {SECRET}",
        f'{{"api_key": "{SECRET}", "x": 1}}',
        f"client_secret => '{SECRET} with more'",
        f"DB_PASSWORD={SECRET};x=1",
        f"Authorization: Bearer {SECRET}",
        f"authorization: basic {SECRET}",
        f"sent bearer {SECRET}.{SECRET}",
        f"the key tw_0123_{SECRET} is revoked",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
        f"no mailbox {SECRET}@example.com",
        f"duplicate key\nDETAIL:  Key (request_id)=({SECRET}) exists.",
        f"https://example.com/a?token={SECRET}&b=1",
    ],
)
def test_a_secret_is_masked_wherever_it_stands(text: str) -> None:
    found = scrubbed(text)
    assert SECRET not in found
    assert "***" in found


@pytest.mark.parametrize(
    "token",
    [
        "0123456789abcdef0123456789abcdef01234567",
        "wJalrXUtnFEMI7K7MDENGbPxRfiCYEXAMPLEKEY",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    ],
)
def test_a_long_token_is_masked_without_any_word_before_it(token: str) -> None:
    assert scrubbed(f"invalid: {token}, sorry") == "invalid: ***, sorry"


@pytest.mark.parametrize("piece", ["-", "x", "pass", "x://", "."])
def test_a_long_text_is_read_once_and_not_once_for_each_character(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    assert scrubbed(text) == text


@pytest.mark.parametrize("pattern", [pattern.pattern for pattern, _ in scrubbing._PATTERNS])
def test_no_pattern_begins_with_a_repetition_at_every_character(pattern: str) -> None:
    """Such a one reads all that it repeats once for each of its characters."""
    first: Any = import_module("re._parser").parse(pattern)[0]
    while str(first[0]) == "SUBPATTERN":
        first = first[1][-1][0]
    assert "REPEAT" not in str(first[0])


def test_a_user_is_masked_whole_however_long_it_is() -> None:
    assert scrubbed(f"{'a' * 5000}@example.com") == "***@example.com"
    assert scrubbed(f"amqp://{'a' * 5000}@rabbit") == "amqp://***@rabbit"


@pytest.mark.parametrize(
    "text",
    [
        "019c2f7e-1111-7abc-8def-0123456789ab",
        "0123456789abcdef0123456789abcdef",
        "words.v1.WordTasks/Count failed at 12:30:01.123",
        '/usr/lib/python3.11/site-packages/taskwire_worker/isolation/pool.py", line 12',
        "KeyError: 'width'",
        "sqlite:////var/lib/taskwire/tasks.db",
        "http://127.0.0.1:50080/metrics",
        "no room for 4194304 bytes",
        "The tokenizer is passive",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert scrubbed(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no such picture: cats", "no such picture: ***"),
        ("no such picture: CATS", "no such picture: ***"),
        ("prefix-https://acme.dev/cats.png-suffix", "prefix-***-suffix"),
        ("xcats.pngy is wrong", "x***y is wrong"),
        ("nothing of it", "nothing of it"),
    ],
)
def test_no_part_of_the_input_is_repeated(text: str, shown: str) -> None:
    assert without(text, b"\n\x19https://acme.dev/cats.png\x10\x80\x01") == shown


def test_a_large_input_is_searched_for_words() -> None:
    private = b"x" * 5_000_000 + b" hunter2 "
    assert without("not hunter2 again", private) == "not *** again"


class CountedText(str):
    searches: list[object]

    def lower(self) -> CountedText:
        return self

    def __contains__(self, piece: object) -> bool:
        self.searches.append(piece)
        return super().__contains__(piece)  # type: ignore[operator]  # it is a str


class CountedBytes(bytes):
    """Bytes whose text notes what is searched for in it."""

    searches: list[object]

    def decode(self, *args: str) -> CountedText:
        text = CountedText(super().decode(*args))
        text.searches = self.searches = []
        return text


def test_an_input_is_searched_once_for_each_word_and_not_for_each_piece() -> None:
    private = CountedBytes(b"xyz abab " * 1000)
    assert without("ab cd is abab and xyz " * 100, private)
    assert sorted(map(str, private.searches)) == ["abab", "and", "xyz"]


def test_words_that_are_too_many_for_a_large_input_are_masked_unseen() -> None:
    size = 1024 * 1024
    private = CountedBytes(b"-" * size)
    most = scrubbing._MOST_COMPARED // size + 1
    words = [f"w{number:05}" for number in range(most + 2)]
    assert without(" ".join(words), private) == " ".join([*words[:most], "***", "***"])
    assert len(private.searches) == most


def test_no_input_masks_nothing() -> None:
    assert without("as it is", b"") == "as it is"
