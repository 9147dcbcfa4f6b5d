"""The loaded contracts: every task type by name, and the pool that its messages live in.

The pool is its own, apart from the default one: a descriptor set added to the default
pool would clash with the generated module of the same file, imported later by a handler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from taskwire_core.options import TaskOptions

_LONGEST_NAME = 512


@dataclass(frozen=True, slots=True)
class TaskType:
    """One RPC method that its .proto makes durable; `name` is "package.Service/Method".

    `options` are the defaults with what the .proto sets; `description` is the method's
    comment, empty when the contract was loaded without source info. The two classes are
    dynamic ones of the contracts' own pool.
    """

    name: str
    description: str
    input_descriptor: Descriptor
    result_descriptor: Descriptor
    input_class: type[Message]
    result_class: type[Message]
    options: TaskOptions

    @property
    def path(self) -> str:
        """The method's path on the wire."""
        return f"/{self.name}"


@dataclass(frozen=True, slots=True)
class Contracts:
    """All task types of a deployment. `services` are the full names of services that have any."""

    pool: DescriptorPool
    types: Mapping[str, TaskType]
    by_input: Mapping[str, TaskType]
    services: tuple[str, ...]
    _classes: dict[str, type[Message] | None] = field(default_factory=dict)

    def find(self, name: str) -> TaskType | None:
        """The task type of that name, None when it is not loaded."""
        return self.types.get(name)

    def near(self, name: str) -> list[str]:
        """Up to three task types whose names resemble `name`, the nearest first."""
        # Comparing takes time for every character, and callers choose the name.
        if len(name) > _LONGEST_NAME:
            return []
        methods: dict[str, list[str]] = {}
        for known in self.types:
            methods.setdefault(_method(known), []).append(known)
        names = get_close_matches(_method(name), methods, n=3, cutoff=0.75)
        alike = [known for found in names for known in methods[found]]
        close = get_close_matches(name, self.types, n=3, cutoff=0.9)
        return list(dict.fromkeys([*alike, *close]))[:3]

    def message_class(self, full_name: str) -> type[Message] | None:
        """The class of a message that the pool knows, None for one that it does not know."""
        if full_name in self._classes:
            return self._classes[full_name]
        try:
            found = GetMessageClass(self.pool.FindMessageTypeByName(full_name))
        except KeyError:
            # Names that are not known are not remembered: callers choose them, and the
            # memory of this process is not theirs to fill.
            return None
        self._classes[full_name] = found
        return found


def _method(name: str) -> str:
    return name.rpartition("/")[2].lower()
