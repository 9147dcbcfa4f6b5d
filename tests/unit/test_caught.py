"""Exceptions as operators see them."""

from __future__ import annotations

import pickle

import pytest

from taskwire_core.caught import MAX_FRAMES, MAX_MESSAGE_CHARS, catch, lines
from taskwire_core.scope import Scope, working_on


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_it_has_the_class_the_message_and_where_it_was_raised() -> None:
    found = catch(raised(ValueError("no")))
    assert (found.type, found.message) == ("ValueError", "no")
    assert found.frames[-1].function == "raised"
    assert found.frames[-1].code == "raise error"


def test_a_cause_is_kept_and_so_is_what_was_handled_meanwhile() -> None:
    def handled() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second")  # noqa: B904  # what is tested

    try:
        handled()
    except ValueError as error:
        found = catch(error)
    assert found.cause is not None
    assert found.cause.type == "KeyError"


def test_a_cause_that_was_taken_back_is_not_shown() -> None:
    def handled() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second") from None

    with pytest.raises(ValueError, match="second") as found:
        handled()
    assert catch(found.value).cause is None


def test_causes_in_a_circle_end() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    found = catch(one)
    assert len(lines(found)) < 40


def test_an_endless_recursion_is_cut_to_its_newest_frames() -> None:
    def forever() -> None:
        forever()

    try:
        forever()
    except RecursionError as error:
        found = catch(error)
    assert len(found.frames) == MAX_FRAMES
    assert found.frames[-1].function == "forever"


def test_a_message_is_bounded_scrubbed_and_fit_for_utf_8() -> None:
    assert len(catch(ValueError("x " * 100_000)).message) == MAX_MESSAGE_CHARS
    assert catch(ValueError("password=hunter2")).message == "password=***"
    assert catch(ValueError("caf\udce9")).message == r"caf\udce9"


def test_a_secret_at_the_cut_is_not_shown_by_half() -> None:
    found = catch(ValueError("a" * 980 + " tw_1_" + "s" * 5000)).message
    assert "sss" not in found


def test_what_the_task_was_given_is_not_repeated() -> None:
    with working_on(Scope(private=b"\n\x05Alice")):
        found = catch(ValueError("no user Alice"))
    assert found.message == "no user ***"


def test_an_exception_that_cannot_be_printed_has_its_class() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert catch(Broken()).type.endswith("Broken")
    assert catch(Broken()).message == ""


def test_it_crosses_processes() -> None:
    found = catch(raised(ValueError("no")))
    assert pickle.loads(pickle.dumps(found)) == found
