"""How long a writer rests."""

from __future__ import annotations

import pytest

from taskwire_db.resting import BUSY, LONG_REST_S, REST_S, SEVERAL, WORTH, rest_after


def test_nobody_waits_for_the_rest_of_a_small_group() -> None:
    few = SEVERAL - 1
    assert rest_after(few, few, took_s=5.0, since_s=5.0) == 0


def test_while_the_writer_keeps_up_it_does_not_rest() -> None:
    # A hundred tasks a second, in groups of a rest that was: they are written one by one again.
    assert rest_after(SEVERAL, SEVERAL, took_s=0.01, since_s=0.03) == 0
    assert rest_after(SEVERAL, SEVERAL, took_s=0.01 * BUSY, since_s=0.03) > 0


def test_who_submits_batches_one_after_another_never_waits_for_a_rest() -> None:
    assert rest_after(1, 100, took_s=0.03, since_s=1.0) == 0
    assert rest_after(1, 100, took_s=0.03, since_s=0.03) == 0
    assert rest_after(4, 400, took_s=0.03, since_s=0.03) > 0


@pytest.mark.parametrize(("took_s", "rest_s"), [(0.004, 0.004), (5.0, REST_S)])
def test_behind_a_group_that_is_worth_it_a_rest_is_as_long_as_its_transaction(
    took_s: float, rest_s: float
) -> None:
    assert rest_after(10 * WORTH, 10 * WORTH, took_s, since_s=2 * took_s) == rest_s


def test_otherwise_it_lasts_until_the_next_group_is_worth_its_transaction() -> None:
    # One task each half a millisecond, of which four come while the thread writes.
    rest_s = rest_after(8, 8, took_s=0.002, since_s=0.004)
    assert rest_s == pytest.approx(WORTH * 0.0005 - 0.002)


def test_a_long_rest_is_not_for_ever() -> None:
    assert rest_after(SEVERAL, SEVERAL, took_s=1.0, since_s=1.0) == LONG_REST_S
