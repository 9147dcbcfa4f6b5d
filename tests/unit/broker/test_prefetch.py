"""How many deliveries are asked for at a time."""

from __future__ import annotations

from taskwire_broker.prefetch import MAX_PREFETCH, Prefetch


def test_it_starts_wide() -> None:
    assert Prefetch(hold=1).size == MAX_PREFETCH


def test_after_a_hold_without_a_claim_it_asks_for_one() -> None:
    prefetch = Prefetch(hold=1)
    prefetch.given_back()
    assert prefetch.size == 1
    assert prefetch.at_least(4) == 4, "but fills all free slots"


def test_after_a_give_back_it_asks_for_half_of_what_a_hold_uses() -> None:
    prefetch = Prefetch(hold=1)
    for tenth in range(10):
        prefetch.claimed(20, free=20, now=tenth / 10)
    prefetch.given_back()
    assert prefetch.size == 100


def test_it_grows_while_whole_prefetches_are_claimed_and_slots_stay_free() -> None:
    prefetch = Prefetch(hold=1)
    prefetch.given_back()
    sizes = []
    while prefetch.claimed(prefetch.size, free=10_000, now=0):
        sizes.append(prefetch.size)
    assert sizes == [4, 16, 64, 256, 1024]


def test_it_does_not_grow_for_long_tasks_that_free_one_slot_at_a_time() -> None:
    prefetch = Prefetch(hold=1)
    prefetch.given_back()
    assert not any(prefetch.claimed(1, free=1, now=second) for second in range(100))
    assert prefetch.size == 1
