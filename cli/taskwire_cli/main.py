"""`taskwire`: the command line. Everything that it can do is in `commands/`.

This file turns whatever ends a command into a line or more on stderr and an exit code.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from taskwire_cli.exits import EXIT_CODES_HELP, Exit, Stop, one_line
from taskwire_core.errors import ConfigurationError, StoreUnavailable

_COMMANDS = {
    "dev": "dev",
    "gateway": "services",
    "keeper": "services",
    "worker": "services",
    "db": "db",
    "contracts": "contracts",
    "settings": "settings",
    "health": "health",
    "client-config": "client_config",
    "submit": "submit",
    "submit-many": "submit_many",
    "watch": "watch",
    "get": "get",
    "list": "list",
    "count": "count",
    "events": "events",
    "cancel": "cancel",
    "retry": "retry",
    "delete": "delete",
    "run": "run",
    "types": "types",
    "queues": "queues",
    "queue": "queue",
    "operations": "operations",
    "users": "users",
}
"""Every command and the module in `commands/` that holds it."""


class _LazyGroup(click.Group):
    """Loads a command's module when it is used, so that `taskwire get` loads no server."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module = importlib.import_module(f"taskwire_cli.commands.{_COMMANDS[name]}")
        command = getattr(module, name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except BrokenPipeError:
            # The reader, such as `head`, has enough. click would end with 1: a task has failed.
            return Exit.OK


_HELP = f"""Durable background tasks that are ordinary gRPC methods.

\b
Try it:
  taskwire dev                                    a server, in this terminal
  taskwire submit taskwire.examples.v1.MathTasks/Divide \\
    '{{"dividend": 84, "divisor": 2}}' --wait       a task, in another one

Settings are environment variables named TASKWIRE_…; `taskwire dev --help` lists them.

{EXIT_CODES_HELP}
"""


@click.command(
    cls=_LazyGroup,
    help=_HELP,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="taskwire", message="taskwire %(version)s")
def cli() -> None:
    """The group of all commands; its help is above, because the exit codes are put in."""


def main() -> None:
    """The entry point of the script `taskwire`."""
    code = run(sys.argv[1:])
    try:
        print(end="", flush=True)
    except BrokenPipeError:
        # Python would try once more at its exit, complain, and answer 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        result = cli.main(args=arguments, prog_name="taskwire", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return Exit.USAGE
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "taskwire"
        return _end(f"{error.format_message().rstrip('.')}; see: {path} --help", Exit.USAGE)
    except click.ClickException as error:
        return _end(error.format_message(), Exit.USAGE)
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except ConfigurationError as error:
        return _end(str(error), Exit.USAGE)
    except Stop as stop:
        return _end(str(stop), stop.code, stop.listed)
    except StoreUnavailable as error:
        return _end(f"the database does not answer: {error}; {error.advice}", Exit.USAGE)
    except Exception as error:
        if (refused := _refused(error)) is None:
            raise
        return _end(str(refused), refused.code, refused.listed)
    return result if isinstance(result, int) else Exit.OK


def _refused(error: Exception) -> Stop | None:
    """How the command ends if `error` is its client's."""
    # Imported here: the client loads gRPC, which `taskwire worker` has no use for.
    from taskwire.client import ClientError
    from taskwire_cli.refusals import stop_for

    return stop_for(error, "its address") if isinstance(error, ClientError) else None


def _end(message: str, code: Exit, listed: Sequence[str] = ()) -> int:
    lines = [f"taskwire: {one_line(message)}", *(f"  {one_line(each)}" for each in listed)]
    print("\n".join(lines), file=sys.stderr)
    return code
