"""The admin ports of real services: what they answer, added up over worker processes."""

from __future__ import annotations

import os
import signal

import pytest

from taskwire_core.lifecycle import State
from tests.e2e.work import TYPE, submit, submit_slow_once
from tests.support.admin import exceptions, get, scraped
from tests.support.embedded import run_command
from tests.support.eventually import eventually
from tests.support.processes import free_ports
from tests.support.servers import RabbitServer, RedisServer
from tests.support.stack import Stack

pytestmark = pytest.mark.servers

BEGUN = "taskwire_worker_attempts_begun_total"
ENDED = "taskwire_worker_attempts_ended_total"


def test_two_processes_are_added_up_and_a_killed_one_takes_nothing_away(
    rabbit: RabbitServer, redis_server: RedisServer
) -> None:
    gateway, worker = (f"127.0.0.1:{port}" for port in free_ports(2))
    stack = Stack(
        rabbitmq_url=rabbit.url,
        redis_url=redis_server.url,
        admin_listen=gateway,
        log_format="json",
    )
    try:
        stack.start_gateway()
        stack.start_worker(admin_listen=worker, worker_processes="2", worker_threads="1")
        eventually(
            lambda: "2 of 2 working" in get(worker, "/readyz")[1], within=30, what="both work"
        )
        assert get(worker, "/readyz")[0] == 200
        assert get(gateway, "/readyz")[0] == 200
        assert get(gateway, "/healthz")[0] == get(worker, "/healthz")[0] == 200
        with stack.client() as client:
            ids = [submit(client, f"t{n}", 0.05) for n in range(20)]
            for task_id in ids:
                client.wait(task_id, 30)
            assert len({entry.pid for entry in stack.entries()}) == 2

            def equal() -> bool:
                ended = scraped(worker).sum(ENDED, type=TYPE, outcome="succeeded")
                in_sql = scraped(gateway).sum("taskwire_store_tasks", state=State.SUCCEEDED.name)
                assert ended == in_sql == 20
                return True

            eventually(equal, within=20, what="metrics are what SQL counts")
            assert scraped(gateway).sum("taskwire_gateway_tasks_accepted_total", type=TYPE) == 20
            assert scraped(worker).sum("taskwire_worker_threads") == 2

            running = submit_slow_once(client, "long")
            victim = stack.wait_for("begin", "long").pid
            eventually(lambda: scraped(worker).sum(BEGUN) == 21, what="the 21st is known")
            os.kill(victim, signal.SIGKILL)
            client.wait(running, 60)

            def counted() -> bool:
                found = scraped(worker)
                assert found.sum(ENDED, outcome="succeeded") == 21
                assert found.sum(BEGUN) == 22
                assert found.sum("taskwire_worker_process_deaths_total") == 1
                assert found.sum("taskwire_worker_processes", phase="working") == 2
                return True

            eventually(counted, within=30, what="nothing that was counted is gone")
        assert exceptions(worker) == exceptions(gateway) == []
        assert get(worker, "/")[0] == 404
        for name in ("gateway", "worker"):
            assert stack.log(name).splitlines()[-1].startswith('{"time": ')
        assert run_command("health", env=stack.environment).returncode == 0
        stack.stop("gateway")
        assert run_command("health", env=stack.environment).returncode != 0
    finally:
        stack.close()
