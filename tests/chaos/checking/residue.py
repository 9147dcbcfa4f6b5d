"""What is left of a run besides its tasks: I14, I15 and I16."""

from __future__ import annotations

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.checking.facts import Facts
from tests.chaos.checking.violation import Finding
from tests.chaos.history import Record
from tests.chaos.records import Resumed, WatchEnd
from tests.chaos.remains import Canary, Counter, Metric, Process, Queue, Scan

MORE_FDS = 12
MORE_THREADS = 8
MORE_CONNECTIONS = 8
RSS_GROWTH = 1.3
MORE_RSS_BYTES = 64 << 20

DEAD_LETTERS = ".XQ"
"""How the names of queues end that keep what was refused, for people."""

TASKS_METRIC = "taskwire_store_tasks"


def resources_are_given_back(facts: Facts) -> Iterator[Finding]:
    """Faults leak nothing.

    At rest a process has at most 12 file descriptors, 8 threads and 8 connections more than it
    (or its predecessor of the same name) had before the load, and at most 1.3 times its memory
    and 64 MiB; pools that fill for the first time and the allocator's habits are within that.
    No queue of the broker holds a message, but for dead letters.
    """
    before = {each.name: each for each in facts.of(Process) if each.moment == "before"}
    for after in facts.of(Process):
        base = before.get(after.name)
        if after.moment == "after" and base is not None:
            for sentence in too_much(base, after):
                yield Finding(sentence, records=(base, after))
    for queue in facts.of(Queue):
        left = queue.ready + queue.unacknowledged
        if left and not queue.name.endswith(DEAD_LETTERS):
            yield Finding(f"the queue {queue.name} holds {left} messages", records=(queue,))


def too_much(base: Process, after: Process) -> Iterator[str]:
    """A sentence for each thing that a process has kept."""
    for what, most, found in (
        ("file descriptors", base.fds + MORE_FDS, after.fds),
        ("threads", base.threads + MORE_THREADS, after.threads),
        ("connections", base.connections + MORE_CONNECTIONS, after.connections),
        ("bytes", int(base.rss_bytes * RSS_GROWTH) + MORE_RSS_BYTES, after.rss_bytes),
    ):
        if found > most:
            yield f"{after.name} has {found} {what}; at most {most} are in order"


def counts_are_right(facts: Facts) -> Iterator[Finding]:
    """What metrics and counters say is what there is.

    By type and state, the store's counters and each gateway's `taskwire_store_tasks` are the
    numbers of the rows.
    """
    there = Tally((row.type, row.state) for row in facts.rows.values())
    counted: Tally[tuple[str, str]] = Tally()
    for counter in facts.of(Counter):
        counted[counter.type, counter.state] += counter.count
    if facts.of(Counter):
        yield from _wrong_counts("the store's counters", there, counted, ())
    shown: dict[str, list[Metric]] = defaultdict(list)
    for metric in facts.of(Metric):
        if metric.name == TASKS_METRIC:
            shown[metric.process].append(metric)
    for process, metrics in shown.items():
        said: Tally[tuple[str, str]] = Tally()
        for metric in metrics:
            said[metric.labels["type"], metric.labels["state"]] += int(metric.value)
        yield from _wrong_counts(f"the metrics of {process}", there, said, metrics)


def secrets_stay_inside(facts: Facts) -> Iterator[Finding]:
    """What an input or an exception says is shown to nobody but whom it is for.

    None of the run's secrets is in a log, on a metrics or exceptions page, or in the text of any
    answer.
    """
    secrets = [canary.text for canary in facts.of(Canary)]
    for scan in facts.of(Scan):
        if scan.found:
            sentence = f"{scan.place} shows {len(scan.found)} secrets"
            yield Finding(sentence, records=(scan,))
    texts: list[tuple[str, Record]] = [(end.message, end) for end in facts.of(WatchEnd)]
    texts += [(one.message, one) for outcomes in facts.outcomes.values() for one in outcomes]
    texts += [(resumed.why, resumed) for resumed in facts.of(Resumed)]
    texts += [(value, m) for m in facts.of(Metric) for value in m.labels.values()]
    for text, record in texts:
        if text and any(secret in text for secret in secrets):
            yield Finding("an answer shows a secret", records=(record,))


def _wrong_counts(
    who: str,
    there: Tally[tuple[str, str]],
    said: Tally[tuple[str, str]],
    metrics: list[Metric] | tuple[()],
) -> Iterator[Finding]:
    for key in sorted(there.keys() | said.keys()):
        if there[key] != said[key]:
            task_type, state = key
            sentence = f"{who} say {said[key]} tasks of {task_type} are {state}, not {there[key]}"
            concerned = [
                m for m in metrics if (m.labels["type"], m.labels["state"]) == (task_type, state)
            ]
            yield Finding(sentence, records=tuple(concerned))
