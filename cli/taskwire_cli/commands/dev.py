"""`taskwire dev`: everything, in this terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from taskwire_admin.admin import Admin
from taskwire_cli import beside_services
from taskwire_cli.configured import current_settings
from taskwire_cli.database import claimed
from taskwire_cli.greeting import greeting
from taskwire_cli.settings_help import settings_help
from taskwire_contracts import check_rules, load
from taskwire_core.failpoints import arm
from taskwire_core.logs import log_to_stderr
from taskwire_core.settings import Settings, require_whole
from taskwire_gateway.embedded import Foundation, run_embedded
from taskwire_worker.embedded import EmbeddedWorker

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
    found = current_settings()
    require_whole(found)
    log_to_stderr(found.log_level, found.log_format)
    arm(found.failpoints)
    if not found.embedded:
        return beside_services.run(found)
    run_embedded_with_worker(found)
    # All is written. A handler that outlived its grace in a thread would keep the process.
    sys.stdout.flush()
    os._exit(0)


def run_embedded_with_worker(settings: Settings) -> None:
    """Wires the embedded worker to the embedded gateway, and serves until a signal.

    Raises:
        ConfigurationError: it cannot start as it is configured.
    """
    examples = not settings.contracts and not settings.handlers
    contracts = load([Path(path) for path in settings.contracts], examples=examples)
    check_rules(contracts)

    handled: set[str] = set()

    def make_worker(foundation: Foundation) -> EmbeddedWorker:
        worker = EmbeddedWorker(
            settings,
            contracts,
            examples=examples,
            writer=foundation.writer,
            clock=foundation.database.clock,
            bus=foundation.bus,
            exchange=foundation.exchange,
            deployment_id=foundation.deployment_id,
            instruments=foundation.instruments,
        )
        handled.update(worker.types)
        return worker

    def on_ready(port: int) -> None:
        address = f"{settings.listen.rpartition(':')[0]}:{port}"
        where = f"data in {settings.data_dir.absolute()}"
        types = contracts.types
        lines = greeting(
            address, types, where=where, admin=admin_address, unhandled=types.keys() - handled
        )
        print(lines, flush=True)

    admin = Admin("dev")
    with claimed(settings), admin.open(settings.admin_listen) as admin_address:
        run_embedded(settings, contracts, make_worker, on_ready, admin)
