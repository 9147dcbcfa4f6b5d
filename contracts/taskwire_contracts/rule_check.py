"""Rules that can judge nothing are found before the first input comes."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor
from google.protobuf.message_factory import GetMessageClass

from taskwire_contracts.contracts import Contracts
from taskwire_core.errors import ConfigurationError


def check_rules(contracts: Contracts) -> None:
    """Have the rules of all inputs compiled.

    Apart from `load`, because it loads the engine, which most workers have no use for.

    Raises:
        ConfigurationError: a rule does not fit its field, or cannot be read; names the task
            type, the message and the rule.
    """
    from protovalidate import CompilationError, EvaluationError, Validator

    validator = Validator()
    seen: set[str] = set()
    for task_type in contracts.types.values():
        for message in _reached(task_type.input_descriptor, seen):
            try:
                validator.collect_violations(GetMessageClass(message)())
            except EvaluationError:
                continue  # It may well judge a message that is not empty.
            except CompilationError as error:
                problem = " ".join(str(error).split())
                raise ConfigurationError(
                    f"the input of the task {task_type.name} has a rule in {message.full_name}"
                    f" that cannot work: {problem}"
                ) from None


def _reached(message: Descriptor, seen: set[str]) -> Iterator[Descriptor]:
    """`message` and all messages of its fields, and of theirs: compiling one leaves them out.

    But for those that were `seen` before.
    """
    if message.full_name in seen:
        return
    seen.add(message.full_name)
    yield message
    for field in message.fields:
        if field.message_type is not None:
            yield from _reached(field.message_type, seen)
