"""docs/reliability.md says what the code does."""

from __future__ import annotations

from tests.chaos.reliability import PAGE, invariants_block, with_block


def test_the_page_has_the_invariants_that_are_checked() -> None:
    text = PAGE.read_text()
    assert text == with_block(text, "invariants", invariants_block())
