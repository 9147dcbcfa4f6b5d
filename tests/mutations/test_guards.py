"""The list of guards is up to date: every edit applies, and every test that is named exists."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import table
from tests.mutations.guard import DoesNotApply, Edit, Guard, read_guards
from tests.mutations.page import HEADING, PAGE, said_of
from tests.mutations.tree import ROOT

GUARDS = read_guards()


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_is_where_its_edit_says_and_what_is_left_compiles(guard: Guard) -> None:
    texts = guard.mutated(ROOT)
    for path, text in texts.items():
        assert text != (ROOT / path).read_text()
        compile(text, path, "exec")


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_the_tests_that_a_guard_names_exist(guard: Guard) -> None:
    for test in guard.tests:
        file, _, name = test.partition("::")
        function = re.escape(name.partition("[")[0])
        text = (ROOT / file).read_text()
        assert re.search(rf"^(async )?def {function}\(", text, re.MULTILINE), test


def test_the_page_lists_exactly_these_guards() -> None:
    rows = table(PAGE, *HEADING)
    assert [tuple(row[:3]) for row in rows] == [said_of(guard) for guard in GUARDS], (
        "make mutations WRITE=1 writes the table"
    )


def test_every_promise_that_a_guard_serves_is_on_the_page() -> None:
    promises = {int(row[0]) for row in table(PAGE, "promise", "what it says")}
    assert {number for guard in GUARDS for number in guard.promises} <= promises


def test_an_edit_applies_where_its_lines_stand_once_and_nowhere_else() -> None:
    edit = Edit("a.py", before="    guard()\n", after="")
    assert edit.apply("def f():\n    guard()\n    work()\n") == "def f():\n    work()\n"
    for text in ("def f():\n    work()\n", "    guard()\n    guard()\n", "        guard()\n"):
        with pytest.raises(DoesNotApply, match=r"a\.py has these lines"):
            edit.apply(text)
