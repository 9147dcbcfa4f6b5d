"""`taskwire dev`: everything, in this terminal."""

from __future__ import annotations

import os
import sys

import click

from taskwire_cli.connection import settings
from taskwire_cli.greeting import greeting
from taskwire_cli.settings_help import settings_help
from taskwire_contracts import Contracts
from taskwire_core.logs import log_to_stderr
from taskwire_core.settings import require_whole

_HELP = f"""Run taskwire in this terminal, for development.

Without TASKWIRE_RABBITMQ_URL and TASKWIRE_REDIS_URL it is one process with everything inside. Its
tasks are in a SQLite database in TASKWIRE_DATA_DIR, and survive Ctrl-C and kill -9. With both URLs
it starts a gateway and a worker over those servers, each in a process of its own. In both cases the
database is upgraded first, and without TASKWIRE_CONTRACTS and TASKWIRE_HANDLERS the example tasks
are loaded.

\b
Examples:
  taskwire dev
  TASKWIRE_LISTEN=127.0.0.1:6000 TASKWIRE_DATA_DIR=/tmp/tw taskwire dev
  TASKWIRE_CONTRACTS=contracts.binpb TASKWIRE_HANDLERS=acme.tasks taskwire dev

{settings_help()}
"""


@click.command(help=_HELP)
def dev() -> int:
    """Embedded, or beside the configured services."""
    found = settings()
    require_whole(found)
    log_to_stderr(found.log_level)
    if not found.embedded:
        from taskwire_cli import beside_services

        return beside_services.run(found)
    from taskwire_cli import embedded

    def on_ready(address: str, contracts: Contracts) -> None:
        where = f"data in {found.data_dir.absolute()}"
        print(greeting(address, contracts.types, where=where), flush=True)

    embedded.run(found, on_ready)
    # All is written. A handler that outlived its grace in a thread would keep the process.
    sys.stdout.flush()
    os._exit(0)
