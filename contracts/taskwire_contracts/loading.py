"""From descriptor sets to task types: what makes a method one, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from taskwire.v1 import options_pb2
from taskwire_contracts.contracts import Contracts, TaskType
from taskwire_contracts.conversion import read_overrides
from taskwire_contracts.descriptor_sets import File, merge, read_sets
from taskwire_contracts.own_files import shipped
from taskwire_core.errors import ConfigurationError
from taskwire_core.options import OptionOverrides, RetryPolicy, TaskOptions, problems
from taskwire_core.options import merge as merge_options

_SERVICE_FIELD = File.DESCRIPTOR.fields_by_name["service"].number
_METHOD_FIELD = descriptor_pb2.ServiceDescriptorProto.DESCRIPTOR.fields_by_name["method"].number


def load(paths: Sequence[Path], *, examples: bool = False) -> Contracts:
    """The task types of all descriptor sets at `paths`, with taskwire's examples when asked.

    Raises:
        ConfigurationError: one line that says which set, file or method is wrong, both of
            them when two are in conflict.
    """
    sets = list(read_sets(paths))
    if examples:
        sets.append((Path("the examples"), shipped("examples.binpb")))
    files, contracts = merge(sets)
    pool = _pool(files)
    types: dict[str, TaskType] = {}
    by_input: dict[str, TaskType] = {}
    for found in _task_types(pool, contracts):
        _refuse_shared_input(by_input.get(found.input_descriptor.full_name), found)
        types[found.name] = found
        by_input[found.input_descriptor.full_name] = found
    services = tuple(sorted({name.partition("/")[0] for name in types}))
    return Contracts(pool=pool, types=types, by_input=by_input, services=services)


def _pool(files: Sequence[File]) -> DescriptorPool:
    pool = DescriptorPool()
    for file in files:
        try:
            pool.AddSerializedFile(file.SerializeToString())
        except TypeError as error:
            problem = " ".join(str(error).split())
            raise ConfigurationError(
                f"the contract file {file.name} cannot be loaded: {problem}"
            ) from None
    return pool


def _task_types(pool: DescriptorPool, files: Sequence[File]) -> Iterator[TaskType]:
    for file in files:
        comments = _comments(file)
        for s, service in enumerate(file.service):
            service_name = f"{file.package}.{service.name}" if file.package else service.name
            for m, method in enumerate(service.method):
                if method.options.HasExtension(options_pb2.task):
                    yield _task_type(pool, service_name, method, comments.get((s, m), ""))


def _comments(file: File) -> dict[tuple[int, int], str]:
    """The comment above each method, by the indexes of its service and itself."""
    return {
        (location.path[1], location.path[3]): _text(location.leading_comments)
        for location in file.source_code_info.location
        if len(location.path) == 4
        and location.path[0] == _SERVICE_FIELD
        and location.path[2] == _METHOD_FIELD
    }


def _text(comment: str) -> str:
    return "\n".join(line.strip() for line in comment.strip().splitlines())


def _task_type(
    pool: DescriptorPool,
    service: str,
    method: descriptor_pb2.MethodDescriptorProto,
    description: str,
) -> TaskType:
    name = f"{service}/{method.name}"
    if method.client_streaming or method.server_streaming:
        raise ConfigurationError(
            f"the method {name} is a stream and cannot be a task;"
            " make it unary or remove its (taskwire.v1.task) option"
        )
    input_descriptor = pool.FindMessageTypeByName(method.input_type.lstrip("."))
    result_descriptor = pool.FindMessageTypeByName(method.output_type.lstrip("."))
    return TaskType(
        name=name,
        description=description,
        input_descriptor=input_descriptor,
        result_descriptor=result_descriptor,
        input_class=GetMessageClass(input_descriptor),
        result_class=GetMessageClass(result_descriptor),
        options=_options(name, service, method.options.Extensions[options_pb2.task]),
    )


def _options(name: str, service: str, message: options_pb2.TaskOptions) -> TaskOptions:
    overrides, found = read_overrides(message)
    options = merge_options(_defaults(service, overrides), overrides)
    found.extend(problems(options))
    if found:
        listed = ", ".join(f"{problem.path} {problem.message}" for problem in found)
        raise ConfigurationError(f"the options of the task {name} are not valid: {listed}")
    return options


def _defaults(service: str, overrides: OptionOverrides) -> TaskOptions:
    """The options of a type that sets none: for one that runs at most once, one attempt."""
    if overrides.at_most_once:
        return TaskOptions(queue=service, retry=RetryPolicy(max_attempts=1))
    return TaskOptions(queue=service)


def _refuse_shared_input(first: TaskType | None, second: TaskType) -> None:
    if first is not None:
        raise ConfigurationError(
            f"the tasks {first.name} and {second.name} share the input message"
            f" {second.input_descriptor.full_name}; give each a message of its own"
        )
