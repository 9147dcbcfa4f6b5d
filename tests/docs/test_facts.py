"""What the pages state about the code is what the code says."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import pytest

from taskwire.v1 import task_service_pb2
from taskwire_cli.exits import EXIT_CODES_HELP, Exit
from taskwire_cli.main import _COMMANDS
from taskwire_contracts import load
from taskwire_core.failpoints import Action
from taskwire_core.lifecycle import TRANSITIONS, Event, State, Transition
from taskwire_gateway.rpc.durable_metadata import _PARSERS, LABEL
from taskwire_gateway.rpc.ended_tasks import EndedTasks
from taskwire_gateway.rpc.submit_stream import SubmitStreams
from taskwire_gateway.rpc.task_lists import TaskLists
from taskwire_gateway.rpc.task_service import TaskService
from taskwire_gateway.rpc.task_watches import TaskWatches
from tests.docs.facts import as_table, failpoint_rows, reason_rows, settings_rows
from tests.docs.metric_facts import metric_rows
from tests.docs.pages import PAGES, README, ROOT, code_spans, page, prose, table

_TEST = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")
_SETTING = re.compile(r"TASKWIRE_[A-Z_]+")


def test_every_setting_is_listed_with_its_default() -> None:
    rows = table(page("docs/operating.md"), "variable", "default", "what it is")
    assert rows == settings_rows(), as_table(settings_rows())


def test_every_failpoint_and_every_action_is_listed() -> None:
    operating = page("docs/operating.md")
    rows = table(operating, "failpoint", "what has happened, and what has not")
    assert rows == failpoint_rows(), as_table(failpoint_rows())
    actions = table(operating, "action", "what happens")
    assert [row[0].strip("`").partition("=")[0] for row in actions] == list(Action)


def test_no_page_names_a_setting_that_there_is_not() -> None:
    known = {row[0].strip("`") for row in settings_rows()}
    for each in PAGES:
        named = set(_SETTING.findall(each.read_text()))
        assert named <= known, f"{each.name}: {named - known}"


def test_every_metric_is_listed() -> None:
    rows = table(page("docs/observing.md"), "metric", "type", "of", "what it is")
    assert rows == metric_rows(), as_table(metric_rows())


def test_every_metric_has_a_name_as_prometheus_wants_it() -> None:
    for name, kind, _, text in metric_rows():
        assert re.fullmatch(r"`taskwire_[a-z_]+`", name)
        assert name.endswith("_total`") == (kind == "counter")
        assert not re.search(r"_(ms|us|minutes|kb|mb)(_|`)", name), "base units only"
        assert text.endswith(".")


def test_every_metric_of_an_alert_is_one_that_there_is() -> None:
    known = {row[0].strip("`") for row in metric_rows()}
    rows = table(page("docs/observing.md"), "alert", "when", "what to do")
    assert rows
    for _, expression, _ in rows:
        for name in re.findall(r"taskwire_[a-z_]+", expression):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in known, name


def test_every_reason_is_listed_with_its_code_and_what_to_do() -> None:
    heading = ("reason", "code", "sent", "what happened, and what to do")
    rows = table(page("docs/errors.md"), *heading)
    assert rows == reason_rows(), as_table(reason_rows())


def test_the_table_of_states_is_the_one_in_the_code() -> None:
    rows = table(page("docs/architecture.md"), "from", "event", "to", "by, and when")
    written = [found for row in rows for found in _transitions(*row[:3])]
    assert len(written) == len(set(written)), "a move is written twice"
    assert frozenset(written) == TRANSITIONS


def _transitions(sources: str, events: str, targets: str) -> Iterator[Transition]:
    for source in sources.split(", "):
        for event in events.split(", "):
            for target in targets.split(", "):
                state = None if source == "none" else State[source]
                yield Transition(state, Event(event), State[target])


def test_every_example_is_listed() -> None:
    rows = table(page("docs/examples.md"), "type", "what it shows")
    assert [row[0].strip("`") for row in rows] == sorted(load([], examples=True).types)


def test_every_command_is_listed() -> None:
    rows = table(page("docs/command-line.md"), "command", "what it does")
    assert [row[0] for row in rows] == [f"`taskwire {name}`" for name in _COMMANDS]


def test_every_exit_code_is_listed_in_the_words_of_the_help() -> None:
    rows = table(page("docs/operating.md"), "code", "command line", "`gateway`, `worker`, `dev`")
    assert [int(row[0]) for row in rows] == [int(code) for code in Exit]
    for code, meaning, _ in rows:
        if code != str(int(Exit.INTERRUPTED)):
            assert f"{code}  {meaning}" in EXIT_CODES_HELP


def test_every_metadata_key_is_listed() -> None:
    rows = table(page("docs/durable-calls.md"), "key", "value", "what it does")
    assert {row[0].strip("`") for row in rows} == {*_PARSERS, LABEL}


def test_every_method_of_the_contract_is_served() -> None:
    methods = task_service_pb2.DESCRIPTOR.services_by_name["TaskService"].methods_by_name
    services = (TaskService, EndedTasks, SubmitStreams, TaskWatches, TaskLists)
    missing = {
        name for name in methods if not any(hasattr(each, _snake(name)) for each in services)
    }
    assert missing == set()
    assert "UNIMPLEMENTED" not in prose(README)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _named_tests() -> list[tuple[str, str]]:
    return [found for each in PAGES for span in code_spans(each) for found in _TEST.findall(span)]


@pytest.mark.parametrize(("file", "name"), _named_tests())
def test_a_test_that_a_page_names_exists(file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_every_promise_names_its_test() -> None:
    rows = table(README, "promise", "bound", "shown by")
    assert rows
    assert all(_TEST.search(row[2]) for row in rows)


def test_the_changelog_speaks_of_the_version_that_is_built() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] in page("CHANGELOG.md").read_text()


def test_the_measured_block_is_marked_once() -> None:
    text = README.read_text()
    begin, end = text.find("<!-- measured:begin -->"), text.find("<!-- measured:end -->")
    assert 0 < begin < end
    assert text[begin + 23 : end].strip()


def test_no_page_says_where_it_was_written() -> None:
    for each in PAGES:
        text = each.read_text()
        assert not re.search(r"(?<![\w./$])/(work|root|home|tmp)/", text), each.name
