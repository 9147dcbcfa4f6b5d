"""The foreign callers, as fixtures; without them the tests say how to get them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from google.rpc import error_details_pb2, status_pb2

import taskwire
from taskwire.client import service_config
from tests.polyglot.programs import NODE, Grpcurl, NodeStub
from tests.support.embedded import EmbeddedServer

CONTRACTS = Path(taskwire.__file__).parent / "_contracts"


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is missing; run these tests with: make test-polyglot", pytrace=False)
    return found


@pytest.fixture(scope="session")
def grpcurl_program() -> str:
    return _program("grpcurl")


@pytest.fixture(scope="session")
def node_program() -> str:
    program = _program("node")
    if not (NODE / "node_modules").exists():
        pytest.fail("grpc-js is missing; run these tests with: make test-polyglot", pytrace=False)
    return program


@pytest.fixture(scope="session")
def descriptor_sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """What a Node team loads: our service, the examples, and Google's error details."""
    details = tmp_path_factory.mktemp("sets") / "details.binpb"
    files: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    for file in (status_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR):
        _collect(file, files)
    image = descriptor_pb2.FileDescriptorSet(file=files.values())
    details.write_bytes(image.SerializeToString())
    return CONTRACTS / "taskwire.binpb", CONTRACTS / "examples.binpb", details


def _collect(file: FileDescriptor, files: dict[str, descriptor_pb2.FileDescriptorProto]) -> None:
    for dependency in file.dependencies:
        _collect(dependency, files)
    files[file.name] = descriptor_pb2.FileDescriptorProto.FromString(file.serialized_pb)


@pytest.fixture
def grpcurl(embedded: EmbeddedServer, grpcurl_program: str) -> Grpcurl:
    """grpcurl against the shared embedded server."""
    return Grpcurl(grpcurl_program, embedded.address)


@pytest.fixture
def node(
    embedded: EmbeddedServer, node_program: str, descriptor_sets: tuple[Path, ...]
) -> NodeStub:
    """A Node stub of the shared embedded server, with the published service config."""
    return NodeStub(node_program, embedded.address, descriptor_sets, service_config())
