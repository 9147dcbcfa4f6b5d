"""The fake of the unit tests beside both stores, in whatever order hypothesis thinks of."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.conformance.ledger_machine import Workers
from tests.support.stores import Stores

EXAMPLES = {"sqlite": 30, "postgresql": 8}


@pytest.mark.timeout(300)
def test_the_fake_says_what_the_store_says(stores: Stores) -> None:
    machine = type("Workers", (Workers,), {"stores": stores})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES[stores.kind],
            stateful_step_count=40,
            deadline=None,
            # Shrinking a history takes minutes: the failing one is printed with its seed.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
