"""`taskwire contracts`: from a team's .proto files to what the services load."""

from __future__ import annotations

from pathlib import Path

import click

import taskwire_contracts
from taskwire_contracts import own_files

_FOLDER = click.Path(path_type=Path)


@click.group()
def contracts() -> None:
    """Make descriptor sets of .proto files, and find taskwire's own."""


@contracts.command()
@click.argument("directory", type=_FOLDER)
@click.option("--out", type=_FOLDER, required=True, metavar="FILE", help="The set, a .binpb file.")
@click.option(
    "--python-out",
    type=_FOLDER,
    metavar="DIR",
    help="Write Python modules too: messages with their types (.pyi), and callers' gRPC stubs.",
)
def build(directory: Path, out: Path, python_out: Path | None) -> None:
    """Compile every .proto below DIRECTORY into one descriptor set.

    taskwire/v1/options.proto, buf/validate/validate.proto and Google's own types are at hand.
    The set is loaded as a check, so that what this command accepts the services accept too.

    \b
    Example:
      taskwire contracts build protos --out contracts.binpb --python-out src
      TASKWIRE_CONTRACTS=contracts.binpb TASKWIRE_HANDLERS=acme.tasks taskwire dev
    """
    built = taskwire_contracts.build(directory, out, python_out)
    count = len(built.types)
    print(f"{out}: {count} task type{'' if count == 1 else 's'}")
    for name in built.types:
        print(f"  {name}")
    if not built.types:
        print("No method has the option (taskwire.v1.task), so none of them is a task type.")


@contracts.command()
def protos() -> None:
    """Print the folder of taskwire's own .proto files, for other languages' generators.

    \b
    Example:
      cp -r "$(taskwire contracts protos)/taskwire" protos/
    """
    print(own_files.protos())
