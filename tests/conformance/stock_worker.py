"""Dramatiq as it comes: its own broker, consumer and worker, with two threads.

`python -m tests.conformance.stock_worker URL FOLDER` works at the gates of FOLDER until it is
killed, and writes down there how many messages wait in its memory. With names behind FOLDER it
enqueues work of these names, and ends.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from dramatiq import Actor, Message, Worker
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from tests.conformance.gates import Gates

QUEUE = "stock"


def main(url: str, folder: Path, names: list[str]) -> None:
    broker = RabbitmqBroker(url=url, confirm_delivery=True)
    work = Actor(
        Gates(folder).work,
        broker=broker,
        actor_name="work",
        queue_name=QUEUE,
        priority=0,
        options={},
    )
    for name in names:
        message: Message[None] = work.message(name)
        broker.enqueue(message)
    if not names:
        _run(broker, folder / "waiting.txt")


def _run(broker: RabbitmqBroker, waiting: Path) -> None:
    worker = Worker(broker, worker_threads=2)
    worker.start()
    while True:
        # A rename, so that nobody reads half a number.
        new = waiting.with_suffix(".new")
        new.write_text(str(worker.work_queue.qsize()))
        new.rename(waiting)
        time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
