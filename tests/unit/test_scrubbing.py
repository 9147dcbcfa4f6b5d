"""What operators read holds no secret: by its looks, and by what the call was given."""

from __future__ import annotations

import pytest

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


def test_a_rule_of_dashes_is_read_once_and_not_once_for_each_dash() -> None:
    rule = "-" * 200_000
    assert scrubbed(rule) == rule


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


def test_no_input_masks_nothing() -> None:
    assert without("as it is", b"") == "as it is"
