"""Turns protos/ into what the `taskwire` package ships: Python modules and descriptor sets.

Hatchling runs this as a build hook, for wheels and for editable installs; `make proto` runs it by
hand. Nothing that it writes is committed.

The protos carry protovalidate rules, so they import buf/validate/validate.proto. No wheel brings
that file's Python module, and a copy of ours in protobuf's default pool would clash with the copy
of any program that generated its own from another release. The Python modules are therefore
generated from descriptors that *keep the rules and drop the import*: to the protobuf runtime the
rules are unknown options, which it preserves, and protovalidate reads them from the bytes with its
own definition. The shipped descriptor sets keep the import and contain validate.proto.
"""

from __future__ import annotations

import argparse
import importlib.resources
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from google.longrunning import operations_pb2
from google.protobuf import (
    descriptor_pb2,
    duration_pb2,
    field_mask_pb2,
    timestamp_pb2,
)
from google.protobuf.descriptor import FileDescriptor
from google.rpc import status_pb2
from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parent
PROTOS = ROOT / "protos"
PACKAGE = ROOT / "taskwire"
CONTRACTS = PACKAGE / "_contracts"

# Where google/rpc/*.proto and google/protobuf/*.proto are, each inside its own wheel.
GOOGLE_RPC = Path(status_pb2.__file__).parents[2]
GOOGLE_PROTOBUF = importlib.resources.files("grpc_tools") / "_proto"

RULES_FILE = "buf/validate/validate.proto"


class GenerateFromProtos(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's generic is not ours to fill
    """Generates before every build, so that an installed package is never older than its protos."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate the code; the wheel picks it up through `artifacts` in pyproject.toml."""
        generate()


def generate() -> None:
    """Write the generated modules, the descriptor sets and copies of the .proto files."""
    _remove_generated()
    CONTRACTS.mkdir()
    shutil.copytree(PROTOS, CONTRACTS / "protos")
    build_image(PROTOS, CONTRACTS / "taskwire.binpb", "taskwire/v1")
    build_image(PROTOS, CONTRACTS / "examples.binpb", "taskwire/examples/v1")
    _generate_modules()


def build_image(source: Path, out: Path, *folders: str) -> None:
    """Compile the .proto files below `source` into one descriptor set, with imports and comments.

    With `folders`, only the files directly in those folders are compiled.
    """
    with tempfile.TemporaryDirectory() as scratch:
        brought = Path(scratch) / "brought.binpb"
        brought.write_bytes(_without_sources().SerializeToString())
        _protoc(
            f"--descriptor_set_in={brought}",
            f"--proto_path={source}",
            f"--proto_path={GOOGLE_RPC}",
            f"--proto_path={GOOGLE_PROTOBUF}",
            "--include_imports",
            "--include_source_info",
            f"--descriptor_set_out={out}",
            *_proto_files(source, folders),
        )


def _generate_modules() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch) / "image.binpb"
        build_image(PROTOS, image)
        files = _without_rules_import(
            descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
        )
        image.write_bytes(files.SerializeToString())
        ours = [file for file in files.file if file.name.startswith("taskwire/")]
        _protoc(
            f"--descriptor_set_in={image}",
            f"--plugin=protoc-gen-mypy={_script('protoc-gen-mypy')}",
            f"--python_out={ROOT}",
            f"--mypy_out=quiet:{ROOT}",
            *(file.name for file in ours),
        )
        _protoc(
            f"--descriptor_set_in={image}",
            f"--plugin=protoc-gen-mypy_grpc={_script('protoc-gen-mypy_grpc')}",
            f"--grpc_python_out={ROOT}",
            f"--mypy_grpc_out=quiet:{ROOT}",
            *(file.name for file in ours if file.service),
        )


def _without_rules_import(
    image: descriptor_pb2.FileDescriptorSet,
) -> descriptor_pb2.FileDescriptorSet:
    kept = [file for file in image.file if file.name != RULES_FILE]
    for file in kept:
        if RULES_FILE in file.dependency:
            file.dependency.remove(RULES_FILE)
    return descriptor_pb2.FileDescriptorSet(file=kept)


def _without_sources() -> descriptor_pb2.FileDescriptorSet:
    """What no wheel brings as a .proto of its own name, each preceded by the files that it imports.

    validate.proto as protovalidate embeds it, and google/longrunning/operations.proto, whose
    source lies in its wheel under another name.
    """
    files = descriptor_pb2.FileDescriptorSet()
    written: set[str] = set()

    def add(file: FileDescriptor) -> None:
        if file.name not in written:
            written.add(file.name)
            for imported in file.dependencies:
                add(imported)
            file.CopyToProto(files.file.add())

    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2, operations_pb2):
        add(module.DESCRIPTOR)
    files.file.add().ParseFromString(validate_pb._DESC.proto.to_binary())
    return files


def _proto_files(source: Path, folders: tuple[str, ...]) -> list[str]:
    found = (
        [path for folder in folders for path in (source / folder).glob("*.proto")]
        if folders
        else source.rglob("*.proto")
    )
    return sorted(path.relative_to(source).as_posix() for path in found)


def _script(name: str) -> str:
    """A plugin of this very environment: the PATH may have none, or one of another version."""
    beside_python = Path(sys.executable).parent / name
    found = str(beside_python) if beside_python.exists() else shutil.which(name)
    if found is None:
        raise SystemExit(f"{name} is missing: install mypy-protobuf in this environment.")
    return found


def _protoc(*arguments: str) -> None:
    status = protoc.main(["protoc", *arguments])
    if status != 0:
        raise SystemExit("protoc refused the .proto files; its reasons are above.")


def _remove_generated() -> None:
    shutil.rmtree(CONTRACTS, ignore_errors=True)
    for pattern in ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi"):
        for path in PACKAGE.rglob(pattern):
            path.unlink()


def main() -> None:
    """`hatch_build.py` generates; with `--image OUT` it only compiles a descriptor set."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--image", type=Path, help="only compile a descriptor set into this file")
    parser.add_argument("--source", type=Path, default=PROTOS, help="the .proto files of --image")
    arguments = parser.parse_args()
    if arguments.image:
        build_image(arguments.source, arguments.image)
    else:
        generate()


if __name__ == "__main__":
    main()
