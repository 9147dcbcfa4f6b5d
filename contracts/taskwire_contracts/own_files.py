"""The .proto files that taskwire itself brings to every pool of contracts.

taskwire's own come from the descriptor set that its build makes, with their comments and
with validate.proto; Google's come from the generated modules of this process.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module, resources
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool

_GOOGLE_MODULES = (
    "google.protobuf.any_pb2",
    "google.protobuf.api_pb2",
    "google.protobuf.descriptor_pb2",
    "google.protobuf.duration_pb2",
    "google.protobuf.empty_pb2",
    "google.protobuf.field_mask_pb2",
    "google.protobuf.source_context_pb2",
    "google.protobuf.struct_pb2",
    "google.protobuf.timestamp_pb2",
    "google.protobuf.type_pb2",
    "google.protobuf.wrappers_pb2",
    "google.rpc.code_pb2",
    "google.rpc.error_details_pb2",
    "google.rpc.status_pb2",
)
RESERVED = ("google/", "buf/validate/", "taskwire/v1/")
"""Files under these folders give way to ours when a descriptor set brings them along."""

RULES_FILE = "buf/validate/validate.proto"


@cache
def own_files() -> dict[str, descriptor_pb2.FileDescriptorProto]:
    """Every file that taskwire brings, by name, each after the files that it imports."""
    files = _google_files(import_module(module).DESCRIPTOR.name for module in _GOOGLE_MODULES)
    for file in shipped("taskwire.binpb").file:
        files.setdefault(file.name, file)
    return files


def shipped(name: str) -> descriptor_pb2.FileDescriptorSet:
    """A descriptor set that the build put into the `taskwire` package."""
    data = (resources.files("taskwire") / "_contracts" / name).read_bytes()
    return descriptor_pb2.FileDescriptorSet.FromString(data)


def protos() -> Path:
    """The folder of taskwire's own .proto files, as their authors wrote them."""
    return Path(str(resources.files("taskwire"))) / "_contracts" / "protos"


def _google_files(names: Iterable[str]) -> dict[str, descriptor_pb2.FileDescriptorProto]:
    pool = descriptor_pool.Default()
    found: dict[str, descriptor_pb2.FileDescriptorProto] = {}

    def add(name: str) -> None:
        if name in found:
            return
        data = pool.FindFileByName(name).serialized_pb
        file = descriptor_pb2.FileDescriptorProto.FromString(data)
        for dependency in file.dependency:
            add(dependency)
        found[name] = file

    for name in names:
        add(name)
    return found
