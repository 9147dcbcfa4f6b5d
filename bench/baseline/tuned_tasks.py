"""Tuned, the worker: all that Celery's page on optimizing advises for many short tasks.

- transient messages (delivery mode 1), and no confirms: a broker that restarts loses tasks, and so
  does a connection that breaks while messages are on their way;
- a prefetch multiplier of 64: a worker that is killed leaves more tasks to be repeated, and with
  early acknowledgements, Celery's default, what its processes had begun is lost;
- results are ignored, since nobody asks for them: nobody can.

Started with `celery -A bench.baseline.tuned_tasks worker`.
"""

from __future__ import annotations

import os

from celery import Celery
from kombu import Exchange, Queue

celery = Celery("tuned", broker=os.environ["BASELINE_RABBITMQ_URL"])
celery.conf.broker_connection_retry_on_startup = True
celery.conf.worker_prefetch_multiplier = 64
celery.conf.task_ignore_result = True
_NAME = os.environ["BASELINE_QUEUE"]
celery.conf.task_default_queue = _NAME
celery.conf.task_queues = [
    Queue(_NAME, Exchange(_NAME, delivery_mode=1), routing_key=_NAME, durable=False)
]
celery.conf.task_default_exchange = celery.conf.task_default_routing_key = _NAME
celery.conf.task_default_delivery_mode = 1

_ended = os.open(os.environ["BASELINE_ENDED"], os.O_WRONLY | os.O_APPEND)


@celery.task(name="echo")
def echo(text: str) -> str:
    os.write(_ended, b".")
    return text
