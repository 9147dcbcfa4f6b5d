"""Descriptor sets from disk, merged into one list of files in the order of their imports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.message import DecodeError

from taskwire_contracts.own_files import RESERVED, own_files
from taskwire_core.errors import ConfigurationError

File = descriptor_pb2.FileDescriptorProto


def read_sets(paths: Sequence[Path]) -> Iterator[tuple[Path, descriptor_pb2.FileDescriptorSet]]:
    """Every descriptor set that `paths` name: files as they are, folders by their .binpb files.

    Raises:
        ConfigurationError: a path does not exist, holds no set, or is not one.
    """
    for path in paths:
        for file in _files(path):
            yield file, _read(file)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ConfigurationError(
            f"the contracts {path} do not exist; set TASKWIRE_CONTRACTS to .binpb files or folders"
        )
    found = sorted(path.rglob("*.binpb"))
    if not found:
        raise ConfigurationError(
            f"the folder {path} holds no .binpb file; make one with `taskwire contracts build`"
        )
    return found


def _read(path: Path) -> descriptor_pb2.FileDescriptorSet:
    try:
        found = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"the contracts {path} cannot be read: {error.strerror}") from None
    except DecodeError:
        found = descriptor_pb2.FileDescriptorSet()
    if not found.file or not all(file.name for file in found.file):
        raise ConfigurationError(
            f"{path} is not a descriptor set; make one with `taskwire contracts build`"
        )
    return found


def merge(
    sets: Sequence[tuple[Path, descriptor_pb2.FileDescriptorSet]],
) -> tuple[list[File], list[File]]:
    """All files, ours first and each after its imports; and those that belong to the sets.

    Raises:
        ConfigurationError: two sets define a file differently, or an import is missing.
    """
    ours = own_files()
    theirs: dict[str, tuple[Path, File]] = {}
    for path, descriptor_set in sets:
        for file in descriptor_set.file:
            if file.name not in ours:
                _add(theirs, path, _known_fields(file))
    ordered = _in_import_order(ours, theirs)
    contracts = [file for file in ordered if not file.name.startswith(RESERVED)]
    return [*ours.values(), *ordered], contracts


def _add(theirs: dict[str, tuple[Path, File]], path: Path, file: File) -> None:
    before = theirs.get(file.name)
    if before is None:
        theirs[file.name] = (path, file)
        return
    if file.name.startswith(RESERVED) or _meaning(before[1]) == _meaning(file):
        if file.HasField("source_code_info"):
            theirs[file.name] = (before[0], file)
        return
    raise ConfigurationError(
        f"{before[0]} and {path} define the file {file.name} differently;"
        " build both sets from the same version of it"
    )


def _known_fields(file: File) -> File:
    """`file` without what only other tools know: buf's images carry a field of their own."""
    known = File()
    for field, _ in file.ListFields():
        known.MergeFrom(_only(file, field.name))
    return known


def _only(file: File, name: str) -> File:
    value = getattr(file, name)
    return File(**{name: value})


def _meaning(file: File) -> bytes:
    bare = File()
    bare.CopyFrom(file)
    bare.ClearField("source_code_info")
    return bare.SerializeToString(deterministic=True)


def _in_import_order(ours: dict[str, File], theirs: dict[str, tuple[Path, File]]) -> list[File]:
    ordered: dict[str, File] = {}

    def add(name: str, wanted_by: str, path: Path) -> None:
        if name in ours or name in ordered:
            return
        if name not in theirs:
            raise ConfigurationError(
                f"{path}: the file {wanted_by} imports {name}, which is in no set;"
                " build the set with its imports (`taskwire contracts build` does)"
            )
        source, file = theirs[name]
        for dependency in file.dependency:
            add(dependency, name, source)
        ordered[name] = file

    for name, (path, _) in theirs.items():
        add(name, name, path)
    return list(ordered.values())
