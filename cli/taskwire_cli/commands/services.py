"""`taskwire gateway`, `keeper` and `worker`: the services, over RabbitMQ, Redis and a database."""

from __future__ import annotations

import click

from taskwire_cli.configured import current_settings
from taskwire_core.failpoints import arm
from taskwire_core.logs import log_to_stderr


@click.command()
def gateway() -> int:
    """Serve gRPC: submissions, durable calls, watches; the keeper is inside, unless switched off.

    Needs TASKWIRE_DATABASE_URL, TASKWIRE_RABBITMQ_URL and TASKWIRE_REDIS_URL, and
    TASKWIRE_CONTRACTS for the task types. SIGTERM drains, a second one ends it now.

    \b
    Example:
      export TASKWIRE_DATABASE_URL=sqlite:////var/lib/taskwire/tasks.db
      export TASKWIRE_RABBITMQ_URL=amqp://guest:guest@127.0.0.1:5672/%2f
      export TASKWIRE_REDIS_URL=redis://127.0.0.1:6379/0
      export TASKWIRE_CONTRACTS=contracts.binpb
      taskwire db upgrade && taskwire gateway
    """
    from taskwire_gateway.main import run

    found = current_settings()
    log_to_stderr(found.log_level, found.log_format)
    arm(found.failpoints)
    return run(found)


@click.command()
def keeper() -> int:
    """Do the keeper's work, and serve no calls: timers, lost attempts, retention, the backlog.

    Needs the settings of `taskwire gateway`. Every gateway does this work as well, unless its
    TASKWIRE_KEEPER is off. Of all that can, one leads; when it dies, another one takes over.

    \b
    Example:
      TASKWIRE_KEEPER=off taskwire gateway &
      taskwire keeper
    """
    from taskwire_gateway.main import run_keeper

    found = current_settings()
    log_to_stderr(found.log_level, found.log_format)
    arm(found.failpoints)
    return run_keeper(found)


@click.command()
def worker() -> int:
    """Run tasks with the handlers that TASKWIRE_HANDLERS names.

    Needs the settings of `taskwire gateway`, and TASKWIRE_HANDLERS: modules with @task functions.
    SIGTERM lets running tasks end for TASKWIRE_DRAIN_GRACE, a second one ends it now.

    \b
    Example:
      TASKWIRE_HANDLERS=acme.tasks TASKWIRE_WORKER_PROCESSES=4 taskwire worker
    """
    from taskwire_worker.main import run

    found = current_settings()
    log_to_stderr(found.log_level, found.log_format)
    arm(found.failpoints)
    return run(found)
