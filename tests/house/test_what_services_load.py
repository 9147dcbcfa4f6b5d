"""What a service does not load: each of these was measured, and memory is the same for all time."""

from __future__ import annotations

import subprocess
import sys

import pytest

FOR_OTHERS = {
    "alembic": "changes of the schema",
    "periskop_client": "a process that has seen an exception",
    "protovalidate": "a process that checks a submission",
    "psycopg": "PostgreSQL",
    "sqlalchemy.orm": "other people's programs",
}
"""Modules that no service needs from the beginning, and who does."""
NOT_FOR_GATEWAYS = {"dramatiq": "whoever consumes"}
NOT_FOR_WORKERS = {
    "grpc": "whoever serves calls, or makes them",
    "lark": "whoever reads filters",
    "uvloop": "whoever serves calls",
}


@pytest.mark.parametrize(
    ("main", "unwanted"),
    [
        ("taskwire_gateway.main", FOR_OTHERS | NOT_FOR_GATEWAYS),
        ("taskwire_worker.main", FOR_OTHERS | NOT_FOR_WORKERS),
    ],
)
def test_a_service_does_not_load_what_others_need(main: str, unwanted: dict[str, str]) -> None:
    # By way of the command line, as when it is started.
    program = f"import sys, taskwire_cli.commands.services, {main}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"import taskwire_cli.main; {program}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = set(done.stdout.split())
    assert main in loaded
    assert not loaded & unwanted.keys(), {name: unwanted[name] for name in loaded & set(unwanted)}
