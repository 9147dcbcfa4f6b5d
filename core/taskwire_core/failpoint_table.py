"""Every failpoint, with what has happened there and what has not.

They are the places between two steps where a crash leaves something that no other crash leaves.
A test compares these names with the call sites, and the page for operators with this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FAILPOINTS: Mapping[str, str] = MappingProxyType(
    {
        # Submit, in a gateway.
        "submit.checked": "a submission is checked, and nothing of it is written",
        "submit.committed": "new tasks are committed; nobody has an answer, nothing is published",
        "submit.acknowledged": "one answer of StreamSubmitTasks is sent, its neighbours' are not",
        # Publish, in a gateway or a keeper.
        "publish.begun": "new tasks are committed; the broker has none of the messages",
        "publish.sent": "messages are written to the broker, which has not confirmed them",
        "publish.confirmed": "the broker has confirmed messages; SQL does not know of it",
        "publish.marked": "SQL knows that the messages are with the broker",
        # Claim, in a worker process.
        "claim.received": "deliveries have arrived, and nothing is asked of SQL",
        "claim.begun": "slots are reserved for a claim, which is not written",
        "claim.committed": "the claim is committed; the deliveries are not acknowledged",
        "claim.acknowledged": "the deliveries of claimed tasks are acknowledged",
        # Run, in a worker process or in the child that runs one handler.
        "run.begun": "a thread is about to call the handler",
        "run.ended": "the handler has returned in its thread; its outcome is known to nobody else",
        "run.coroutine_begun": "the event loop is about to call an async def handler",
        "run.coroutine_ended": "an async def handler has returned; its outcome is known to nobody",
        "run.isolated_begun": "a child process is about to call the handler",
        "run.isolated_ended": "the handler has returned in its child; the worker does not know",
        "run.submitted": "what a handler has submitted is committed; the handler does not know",
        # Settle, in a worker process; its transaction is the writer's.
        "settle.begun": "an outcome is decided, and is in memory only",
        "settle.written": "an outcome is committed and announced; the worker still holds it",
        "spool.written": "outcomes are in a file, which does not have its name yet",
        "spool.kept": "outcomes are in the spool, and the process is about to end",
        "spool.read": "a spooled file is read, and nothing of it is in SQL",
        "spool.replayed": "a spooled file is in SQL, and still in the spool",
        # Leases, in the supervisor of a worker.
        "lease.registered": "a worker is in SQL; its process waits to be told",
        "lease.renewing": "the leases are about to be renewed",
        "lease.renewed": "the leases are renewed; the worker processes do not know",
        "lease.expired": "a dead worker's lease is ended; its tasks are RUNNING in its name",
        # Drain, in a worker process, its supervisor and a gateway.
        "drain.begun": "a worker consumes no more; what it has claimed is still its own",
        "drain.handed_back": "what had not begun is being handed back; handlers still run",
        "drain.retiring": "an ended worker's tasks are handed back; its row is still there",
        "drain.refusing": "a gateway refuses calls; those in progress have not ended",
        "drain.leaving": "a gateway has ended; what it did not publish is in its name",
        # Cancel, in a gateway and in a worker process.
        "cancel.begun": "a cancel has arrived, and nothing is written",
        "cancel.committed": "a cancel is committed; the caller has no answer",
        "cancel.heard": "a worker has heard of a cancel; the handler has not",
        # What a transaction does, in whichever process writes.
        "write.executed": "a group of writes is executed and not committed",
        "write.committed": "a group of writes is committed; nothing is announced",
        "write.announced": "a group of writes is announced; who asked for them does not know",
        "follow_ups.made": "a task has ended and those that follow it are made, not committed",
        "feed.taken": "announcements are taken from their queue, and Redis has none of them",
        "feed.sent": "Redis has the announcements",
        # The keeper, in the gateway that leads or in a keeper.
        "keeper.leads": "this process leads; its first sweeps have not begun",
        "sweep.begun": "one of the sweeps is about to begin",
        "sweep.due": "due tasks are QUEUED; nobody publishes them yet",
        "sweep.deadlines": "tasks whose time was up have ended",
        "sweep.lost": "lost attempts are settled",
        "sweep.released": "a dead gateway's rows are in the backlog; the gateway is still listed",
        "sweep.backlog": "rows of the backlog are this gateway's; none is published",
        "sweep.stranded": "rows whose messages are gone are in the backlog again",
        "retention.deleted": "a chunk of ended tasks is deleted",
        "retention.pruned": "a chunk of the change log is deleted",
        "bulk.begun": "a bulk operation is recorded; the caller has no answer",
        "bulk.prepared": "a chunk of a bulk operation is prepared, and not written",
        "bulk.advanced": "a chunk of a bulk operation is committed",
        # Watches, in a gateway.
        "watch.subscribed": "a watch is subscribed to its task, which it has not read",
        "watch.read": "a watch has read its task, and has sent nothing",
        "watch.rung": "a watched task's doorbell has rung, and nobody was told",
        "watch.ending": "a watch has sent the ended task; the client is not told that it is all",
        "durable.answering": "a durable call's task has ended; the caller has no answer",
        "changes.listening": "WatchTasks listens; the change log's head is not read",
        "changes.begun": "WatchTasks knows where it begins, and has sent nothing",
        "changes.syncing": "WatchTasks has sent the initial set, and does not say so yet",
        "changes.read": "WatchTasks has read changes, and has sent none of them",
        # Migrations, in whoever upgrades the database.
        "migrate.step": "a migration is executed in a transaction that is not committed",
        "migrate.committed": "the schema is committed; a new database has no name yet",
    }
)
