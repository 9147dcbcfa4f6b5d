"""`taskwire contracts build`: a folder of .proto files becomes one descriptor set.

protoc comes with grpcio-tools; taskwire's options, protovalidate's rules and Google's
own files are at hand without being copied into the folder.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from google.protobuf import descriptor_pb2

from taskwire_contracts.contracts import Contracts
from taskwire_contracts.loading import load
from taskwire_contracts.own_files import RESERVED, RULES_FILE, own_files
from taskwire_contracts.rule_check import check_rules
from taskwire_core.errors import ConfigurationError


def build(directory: Path, out: Path, python_out: Path | None = None) -> Contracts:
    """Compile every .proto below `directory` into the set `out`, and load it as a check.

    With `python_out`, the generated messages, their types and the callers' stubs are written
    there too.

    Raises:
        ConfigurationError: the folder has no .proto, protoc refuses one, the result does not
            load or cannot be written; the text is protoc's own complaint, in one line.
    """
    sources = _sources(directory)
    for folder in filter(None, (out.parent, python_out)):
        _make(folder)
    _compile(directory, sources, out)
    contracts = load([out])
    check_rules(contracts)
    if python_out is not None:
        _generate_python(out, sources, python_out)
    return contracts


def _sources(directory: Path) -> list[str]:
    if not directory.is_dir():
        raise ConfigurationError(f"{directory} is not a folder; name the one with the .proto files")
    found = [file.relative_to(directory).as_posix() for file in sorted(directory.rglob("*.proto"))]
    sources = [name for name in found if not name.startswith(RESERVED)]
    if not sources:
        raise ConfigurationError(f"the folder {directory} holds no .proto file")
    return sources


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot write to {folder}: {error.strerror}") from None


def _compile(directory: Path, sources: Sequence[str], out: Path) -> None:
    brought = descriptor_pb2.FileDescriptorSet(file=own_files().values())
    options = (
        f"-I{directory}",
        "--include_imports",
        "--include_source_info",
        f"--descriptor_set_out={out}",
    )
    _protoc(brought, [*options, *sources], f"the contracts in {directory}")


def _generate_python(image: Path, sources: Sequence[str], out: Path) -> None:
    """Generate modules that keep protovalidate's rules but do not import its module.

    No wheel brings `buf.validate.validate_pb2`; to the protobuf runtime the rules are then
    unknown options, which it keeps and protovalidate reads.
    """
    files = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    for file in files.file:
        if RULES_FILE in file.dependency:
            _drop_import(file, RULES_FILE)
    kinds = ("python", "pyi", "grpc_python")
    _protoc(files, [*[f"--{kind}_out={out}" for kind in kinds], *sources], str(image))


def _drop_import(file: descriptor_pb2.FileDescriptorProto, name: str) -> None:
    index = list(file.dependency).index(name)
    del file.dependency[index]
    # Public and weak imports are positions in the list that has just become shorter.
    for positions in (file.public_dependency, file.weak_dependency):
        kept = [p - (p > index) for p in positions if p != index]
        del positions[:]
        positions.extend(kept)


def _protoc(brought: descriptor_pb2.FileDescriptorSet, arguments: Sequence[str], what: str) -> None:
    with tempfile.TemporaryDirectory(prefix="taskwire-") as folder:
        file = Path(folder) / "brought.binpb"
        file.write_bytes(brought.SerializeToString())
        # A process of its own: protoc writes its complaints to the C library's stderr.
        command = [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={file}"]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line and "warning:" not in line]
        raise ConfigurationError(f"protoc refused {what}: {'; '.join(lines)}")
