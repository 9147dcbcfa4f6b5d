"""Dramatiq as it comes: one actor, RabbitMQ, no results, no state, no gateway.

The worker is started with `dramatiq -p 1 -t 8 bench.baseline.raw_dramatiq`; this module itself,
with a number, enqueues so many messages.
"""

from __future__ import annotations

import os
import sys

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

broker = RabbitmqBroker(url=os.environ["BASELINE_RABBITMQ_URL"])
dramatiq.set_broker(broker)
TEXT = "a text as long as that of most small tasks, with some fifty more characters behind"

_ended = os.open(os.environ["BASELINE_ENDED"], os.O_WRONLY | os.O_APPEND)


@dramatiq.actor(queue_name=os.environ["BASELINE_QUEUE"])
def echo(text: str) -> str:
    os.write(_ended, b".")
    return text


if __name__ == "__main__":
    for _ in range(int(sys.argv[1])):
        echo.send(TEXT)
