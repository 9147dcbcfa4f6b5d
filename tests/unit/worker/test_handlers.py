"""What is wrong with a handler is said at start, in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from google.protobuf.message import Message

import taskwire_contracts
from taskwire import Isolation, TaskContext, task
from taskwire.examples.v1 import math_tasks_pb2
from taskwire_contracts import Contracts
from taskwire_core.errors import ConfigurationError
from taskwire_worker.handlers import collect, load_handlers

DIVIDE = "taskwire.examples.v1.MathTasks/Divide"


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return taskwire_contracts.load([], examples=True)


def module(**functions: Callable[..., Any]) -> ModuleType:
    made = ModuleType("acme.tasks")
    vars(made).update(functions)
    return made


@task(DIVIDE)
def divide(request: Message, context: TaskContext) -> Message:
    """A good handler."""
    return request


def refusal(contracts: Contracts, *modules: ModuleType) -> str:
    with pytest.raises(ConfigurationError) as refused:
        collect(modules, contracts)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_marked_function_is_found_with_its_generated_classes(contracts: Contracts) -> None:
    found = collect([module(divide=divide)], contracts)

    handler = found[DIVIDE]
    assert handler.function is divide
    assert handler.isolation is Isolation.THREAD
    assert handler.input_class is math_tasks_pb2.DivideRequest


def test_the_decorated_function_is_still_the_function() -> None:
    assert divide.__name__ == "divide"


def test_a_method_descriptor_names_the_type(contracts: Contracts) -> None:
    service = math_tasks_pb2.DESCRIPTOR.services_by_name["MathTasks"]

    @task(service.methods_by_name["Divide"], isolation="process")
    def by_descriptor(request: Message, context: TaskContext) -> Message:
        return request

    found = collect([module(handler=by_descriptor)], contracts)
    assert found[DIVIDE].isolation is Isolation.PROCESS


def test_a_handler_that_two_modules_share_is_one_handler(contracts: Contracts) -> None:
    assert len(collect([module(a=divide), module(b=divide)], contracts)) == 1


def test_two_handlers_for_one_type_are_refused(contracts: Contracts) -> None:
    @task(DIVIDE)
    def other(request: Message, context: TaskContext) -> Message:
        return request

    text = refusal(contracts, module(one=divide, two=other))
    assert DIVIDE in text
    assert "divide" in text
    assert "other" in text


def test_a_type_in_no_contract_is_refused_with_the_near_ones(contracts: Contracts) -> None:
    @task("taskwire.examples.v1.MathTasks/Devide")
    def handler(request: Message, context: TaskContext) -> Message:
        return request

    assert f"did you mean {DIVIDE}" in refusal(contracts, module(handler=handler))


def test_a_handler_without_a_context_is_refused(contracts: Contracts) -> None:
    @task(DIVIDE)
    def handler(request: Message) -> Message:
        return request

    assert "(request, context)" in refusal(contracts, module(handler=handler))


def test_a_module_without_a_handler_is_refused(contracts: Contracts) -> None:
    assert "no handler" in refusal(contracts, module())


def test_a_module_that_cannot_be_imported_is_refused_in_one_line(contracts: Contracts) -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"cannot import no\.such\.module: .*; is its folder on PYTHONPATH\?",
    ):
        load_handlers(["no.such.module"], contracts)


def test_a_module_that_lacks_another_one_is_not_said_to_be_missing(
    contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "handlers_that_lack.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError, match=r"No module named 'no_such_package'$"):
        load_handlers(["handlers_that_lack"], contracts)


@pytest.mark.parametrize(("isolation", "on_loop"), [("thread", True), ("process", False)])
def test_an_async_handler_runs_on_the_loop_unless_it_is_isolated(
    contracts: Contracts, isolation: str, on_loop: bool
) -> None:
    @task(DIVIDE, isolation=isolation)
    async def handler(request: Message, context: TaskContext) -> Message:
        return request

    found = collect([module(handler=handler)], contracts)[DIVIDE]
    assert found.is_async
    assert found.on_loop is on_loop


def test_an_async_generator_is_refused_when_it_is_marked() -> None:
    with pytest.raises(TypeError, match="generator"):

        @task(DIVIDE)
        async def handler(request: Message, context: TaskContext) -> Any:
            yield request


def test_a_generator_is_refused_when_it_is_marked() -> None:
    with pytest.raises(TypeError, match="generator"):

        @task(DIVIDE)
        def handler(request: Message, context: TaskContext) -> Any:
            yield request


@pytest.mark.parametrize("wrong", ["", "Divide", "/Divide", "a.b.C/"])
def test_a_name_that_is_no_method_is_refused(wrong: str) -> None:
    with pytest.raises(TypeError, match=r"package\.Service/Method"):
        task(wrong)


def test_an_unknown_isolation_is_refused() -> None:
    with pytest.raises(ValueError, match="galaxy"):
        task(DIVIDE, isolation="galaxy")
