"""What a worker shows of its attempts: numbers that are those of SQL, and no secret."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from taskwire.examples.v1.email_tasks_pb2 import SendEmailRequest
from taskwire.examples.v1.image_tasks_pb2 import MakeThumbnailRequest
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest
from taskwire_admin.exception_log import ExceptionLog
from taskwire_admin.instruments import Instruments
from taskwire_admin.periskop import payload
from taskwire_core.lifecycle import State
from taskwire_core.logs import JsonFormatter, LineFormatter
from taskwire_core.options import RetryPolicy
from tests.support.admin import read
from tests.support.eventually import eventually
from tests.worker import leaking_handlers
from tests.worker.town import FAST_RETRY, Town

SEND = "taskwire.examples.v1.EmailTasks/SendEmail"
THUMBNAIL = "taskwire.examples.v1.ImageTasks/MakeThumbnail"
DIVIDE = "taskwire.examples.v1.MathTasks/Divide"
CANARY = "CanaryOfTheInput"
ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def handler_modules() -> tuple[str, ...]:
    return (leaking_handlers.__name__,)


class Lines(logging.Handler):
    """Everything that is logged, in both forms."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.failures: list[tuple[str, str]] = []
        """Level and type of each failure that was told."""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += LineFormatter().format(record) + JsonFormatter().format(record)
        if record.msg == "attempt failed":
            self.failures.append((record.levelname, vars(record).get("error_type", "")))


@pytest.fixture
def logged(instruments: Instruments) -> Iterator[Lines]:
    found, collected = Lines(), ExceptionLog(instruments.exceptions)
    root = logging.getLogger()
    before, root.level = root.level, logging.INFO
    for handler in (found, collected):
        root.addHandler(handler)
    yield found
    for handler in (found, collected):
        root.removeHandler(handler)
    root.level = before


@pytest.mark.usefixtures("worker")
def test_no_secret_of_an_input_or_an_exception_is_shown(
    town: Town, instruments: Instruments, logged: Lines
) -> None:
    mail = SendEmailRequest(to=["a@b.de"], subject=f"{CANARY}1", text=f"{CANARY}2")
    image = MakeThumbnailRequest(image=f"{CANARY}3".encode(), max_width=1)
    ids = [
        town.submit(SEND, mail, queue="email", retry=ONCE),
        town.submit(THUMBNAIL, image, queue="images", retry=ONCE),
    ]
    for task_id in ids:
        assert town.ended(task_id).state is State.FAILED
    eventually(lambda: instruments.exceptions.total == 3, what="all three are recorded")

    shown = payload("here", instruments.exceptions.bundles())

    assert "RuntimeError" in shown
    assert "LookupError" in shown
    assert "KeyError" in shown
    for text in (shown, logged.text, str(read(instruments.registry).names)):
        assert "Canary" not in text
        assert "hunter2" not in text
    assert "the handler's own line" in logged.text
    assert f'"request_url": "{SEND}"' in shown
    assert f'"request_url": "{THUMBNAIL}"' in shown


@pytest.mark.usefixtures("worker")
def test_what_is_tried_again_is_a_warning_until_it_is_not(
    town: Town, instruments: Instruments, logged: Lines
) -> None:
    mail = SendEmailRequest(to=["a@b.de"], subject="s", text="t")
    twice = RetryPolicy(
        max_attempts=2, initial_backoff=FAST_RETRY.initial_backoff, jitter=0, backoff_multiplier=1
    )
    town.ended(town.submit(SEND, mail, queue="email", retry=twice))
    eventually(lambda: instruments.exceptions.total == 4, what="two of each are recorded")
    (bundle,) = [
        b for b in instruments.exceptions.bundles() if b.newest[0].caught.type == "RuntimeError"
    ]
    assert [occurrence.severity for occurrence in bundle.newest] == ["warning", "error"]
    assert (bundle.severity, bundle.count) == ("error", 2)
    assert logged.failures == [("WARNING", "RuntimeError"), ("ERROR", "RuntimeError")]
    assert "leaking_handlers.py:" in logged.text


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("dividend", [0, 1], ids=["an error", "one with a reason of taskwire's"])
def test_a_handler_s_own_error_is_an_answer(
    town: Town, instruments: Instruments, logged: Lines, dividend: int
) -> None:
    town.ended(town.submit(DIVIDE, DivideRequest(dividend=dividend), queue="math"))
    eventually(lambda: read(instruments.registry).sum("taskwire_worker_attempts_ended_total"))
    eventually(lambda: logged.failures, what="it is logged")
    assert {level for level, _ in logged.failures} == {"INFO"}
    assert "Canary" not in logged.text
    assert instruments.exceptions.total == 0


@pytest.mark.usefixtures("worker")
def test_a_result_that_is_none_is_an_error_without_a_type(town: Town, logged: Lines) -> None:
    town.ended(town.submit(DIVIDE, DivideRequest(divisor=-1), queue="math"))
    eventually(lambda: logged.failures, what="it is logged")
    assert logged.failures == [("ERROR", "")]
    assert "error_type" not in logged.text
    assert "instead of taskwire.examples.v1.DivideResponse" in logged.text


@pytest.mark.usefixtures("worker")
def test_the_numbers_of_attempts_are_those_of_sql(town: Town, instruments: Instruments) -> None:
    good, bad = DivideRequest(divisor=1), DivideRequest()
    ids = [town.submit(DIVIDE, request, queue="math") for request in [good] * 20 + [bad] * 5]
    for task_id in ids:
        town.ended(task_id)

    def equal() -> bool:
        found = read(instruments.registry)
        ended = found.by("taskwire_worker_attempts_ended_total", "outcome")
        with town.database.connect() as connection:
            rows = connection.exec_driver_sql("SELECT state, count(*) FROM tasks GROUP BY state")
            counted = {State(state).name.lower(): count for state, count in rows}
        assert ended == counted == {"succeeded": 20, "failed": 5}
        assert found.sum("taskwire_worker_attempts_begun_total", type=DIVIDE) == 25
        assert found.sum("taskwire_worker_attempt_seconds_count", type=DIVIDE) == 25
        assert found.sum("taskwire_worker_running") == 0
        assert found.sum("taskwire_worker_threads") == 2
        assert found.sum("taskwire_worker_settlements_pending") == 0
        return True

    eventually(equal, what="metrics are what SQL counts")
