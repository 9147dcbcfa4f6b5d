"""Page tokens: good for whoever they were given to, for what they were given for, and not else."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from taskwire_core.errors import InvalidRequest
from taskwire_core.failure import Code
from taskwire_core.page_tokens import PageTokens


@dataclass(frozen=True)
class Place:
    time_us: int
    id: bytes


PLACE = Place(1_700_000_000_000_000, b"\x01\xff" * 8)
tokens = PageTokens(b"k" * 32)
token = tokens.sign(PLACE, user="ann", scope="ListTasks state = FAILED")


def refused(text: str, *, user: str = "ann", scope: str = "ListTasks state = FAILED") -> None:
    with pytest.raises(InvalidRequest) as caught:
        tokens.read(text, Place, user=user, scope=scope)
    assert (caught.value.code, caught.value.reason) == (
        Code.INVALID_ARGUMENT,
        "INVALID_PAGE_TOKEN",
    )
    assert "Start again without one." in caught.value.message


def test_a_token_gives_its_place_back() -> None:
    same_key = PageTokens(b"k" * 32)
    assert same_key.read(token, Place, user="ann", scope="ListTasks state = FAILED") == PLACE


def test_a_token_can_stand_in_a_url() -> None:
    assert token.replace("-", "").replace("_", "").isalnum()


def test_a_token_of_another_user_is_refused() -> None:
    refused(token, user="bob")


def test_a_token_of_another_filter_is_refused() -> None:
    refused(token, scope="ListTasks state = QUEUED")


def test_where_the_user_ends_and_the_scope_begins_is_signed_too() -> None:
    refused(tokens.sign(PLACE, user="an", scope="n" + "x"), user="ann", scope="x")


def test_a_token_of_another_deployment_is_refused() -> None:
    other = PageTokens(b"x" * 32).sign(PLACE, user="ann", scope="ListTasks state = FAILED")
    refused(other)


@pytest.mark.parametrize("position", range(len(token)))
def test_a_token_with_another_character_anywhere_is_refused(position: int) -> None:
    swapped = "A" if token[position] not in "AB" else "z"
    refused(token[:position] + swapped + token[position + 1 :])


@pytest.mark.parametrize("text", ["", "x", "AAAA", token[:-4], token + "AAAA", "ä" * 40, "=" * 40])
def test_what_is_no_token_is_refused(text: str) -> None:
    refused(text)


def test_a_place_of_another_form_is_refused() -> None:
    other = tokens.sign({"name": "a"}, user="ann", scope="ListTasks state = FAILED")
    refused(other)


def test_a_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        PageTokens(b"short")
