"""Bulk operations: begin one, do a chunk of it, cancel it, forget it.

A chunk's changes, its place and its counts are written in one transaction, which compares the
place that it began from: a process that dies in the middle has done the chunk or has not, and of
two that do the same chunk the second does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from taskwire_core.bulk import (
    BulkChunk,
    BulkFailure,
    BulkKind,
    BulkOperation,
    BulkScope,
    NewBulk,
)
from taskwire_core.ids import new_id
from taskwire_db.bulk_operations import FIRST_ID, LAST_ID, encode_failures, in_scope, operation
from taskwire_db.database import Transaction
from taskwire_db.group import insert_for
from taskwire_db.models import tasks
from taskwire_db.operations.cancel import CancelRequest, cancel
from taskwire_db.operations.delete import DeleteRequest, delete
from taskwire_db.operations.insertion import Submission
from taskwire_db.operations.retry import RetryResult, retry
from taskwire_db.operations.users import OwnerGone
from taskwire_db.operator_models import bulk_operations
from taskwire_db.problems import Contended

_c = bulk_operations.c


@dataclass(frozen=True, slots=True)
class _Tally:
    """What a chunk came to."""

    done: int
    skipped: int
    failures: tuple[BulkFailure, ...] = ()


def begin_bulk(tx: Transaction, items: Sequence[NewBulk]) -> list[BulkOperation | None]:
    """Each new operation, or the one that its request id has begun before.

    None where the request id has begun another one.
    """
    return [_begin(tx, item) for item in items]


def _begin(tx: Transaction, new: NewBulk) -> BulkOperation | None:
    scope = new.scope
    statement = insert_for(tx.connection.dialect, bulk_operations).values(
        id=new_id(),
        owner=scope.owner,
        kind=scope.kind,
        filter=scope.filter,
        reason=new.reason,
        request_id=new.request_id,
        last_id=LAST_ID,
        cursor=FIRST_ID,
        total=new.total,
        done=0,
        skipped=0,
        failed=0,
        failures="[]",
        create_time=scope.began_us,
        update_time=tx.now_us,
        end_time=None,
        cancelled=0,
    )
    made = tx.connection.execute(statement.on_conflict_do_nothing().returning(_c.id)).first()
    key = made.id if made is not None else _begun_before(tx, new)
    return None if key is None else operation(tx.connection, bytes(key), scope.owner)


def _begun_before(tx: Transaction, new: NewBulk) -> bytes | None:
    """What the request id of `new` has begun, if that is the same as `new`.

    The database compares: it may not have every text as it was given.
    """
    scope = new.scope
    same = (_c.kind == scope.kind) & (_c.filter == scope.filter) & (_c.reason == new.reason)
    statement = sa.select(_c.id, sa.case((same, 1), else_=0)).where(
        _c.owner == scope.owner, _c.request_id == new.request_id
    )
    found = tx.connection.execute(statement).first()
    if found is None:
        raise Contended("the operation of a request id is being deleted")
    return found[0] if found[1] else None


def cancel_bulk(tx: Transaction, items: Sequence[tuple[bytes, str]]) -> list[BulkOperation | None]:
    """Each operation (id, owner) as it is now.

    It ends at once: a chunk in progress is committed before, or not at all. None where there is
    no such operation of that owner.
    """
    return [_cancel_bulk(tx, key, owner) for key, owner in items]


def _cancel_bulk(tx: Transaction, key: bytes, owner: str) -> BulkOperation | None:
    tx.connection.execute(
        sa.update(bulk_operations)
        .values(cancelled=1, end_time=tx.now_us, update_time=tx.now_us)
        .where(_c.id == key, _c.owner == owner, _c.end_time.is_(None))
    )
    return operation(tx.connection, key, owner)


def delete_bulk(tx: Transaction, items: Sequence[tuple[bytes, str]]) -> list[BulkOperation | None]:
    """Each operation (id, owner) as it was; its record is deleted if it had ended."""
    found = [operation(tx.connection, key, owner) for key, owner in items]
    for each in found:
        if each is not None:
            tx.connection.execute(
                sa.delete(bulk_operations).where(_c.id == each.id, _c.end_time.is_not(None))
            )
    return found


def forget_bulk(tx: Transaction, befores_us: Sequence[int]) -> list[int]:
    """How many records were deleted of operations that had ended before each time."""
    return [
        tx.connection.execute(sa.delete(bulk_operations).where(_c.end_time < before_us)).rowcount
        for before_us in befores_us
    ]


def advance_bulk(tx: Transaction, chunks: Sequence[BulkChunk]) -> list[BulkOperation | None]:
    """Each operation after its chunk; None where it is not at the chunk's place any more."""
    return [_advance(tx, chunk) for chunk in chunks]


def _advance(tx: Transaction, chunk: BulkChunk) -> BulkOperation | None:
    at_work = (
        sa.select(_c.id)
        .where(_c.id == chunk.operation_id, _c.cursor == chunk.cursor, _c.end_time.is_(None))
        .with_for_update()
    )
    if tx.connection.execute(at_work).first() is None:
        return None
    before = operation(tx.connection, chunk.operation_id, None)
    assert before is not None, "its row is locked"
    still = _still_in_scope(tx, before.scope, chunk.task_ids)
    tally = _DO[before.scope.kind](tx, before, chunk, still)
    _save(tx, before, chunk, tally)
    return operation(tx.connection, chunk.operation_id, None)


def _still_in_scope(tx: Transaction, scope: BulkScope, ids: Sequence[bytes]) -> list[bytes]:
    """Those of `ids` that are in the scope now, and are kept so until the commit."""
    statement = (
        sa.select(tasks.c.id)
        .where(tasks.c.id.in_(list(ids)), in_scope(scope))
        .order_by(tasks.c.id)
        # A task that is only repeated may be read by everybody meanwhile.
        .with_for_update(key_share=scope.kind is BulkKind.RETRY, read=scope.kind is BulkKind.RETRY)
    )
    return [bytes(row[0]) for row in tx.connection.execute(statement)] if ids else []


def _cancel(
    tx: Transaction, bulk: BulkOperation, chunk: BulkChunk, still: Sequence[bytes]
) -> _Tally:
    owner = bulk.scope.owner
    results = cancel(tx, [CancelRequest(key, owner, bulk.reason, actor=owner) for key in still])
    done = sum(result is not None and result.effective for result in results)
    return _Tally(done, len(chunk.task_ids) - done)


def _delete(
    tx: Transaction, bulk: BulkOperation, chunk: BulkChunk, still: Sequence[bytes]
) -> _Tally:
    results = delete(tx, [DeleteRequest(key, bulk.scope.owner) for key in still])
    done = sum(result is not None and result.deleted for result in results)
    return _Tally(done, len(chunk.task_ids) - done)


def _retry(
    tx: Transaction, bulk: BulkOperation, chunk: BulkChunk, still: Sequence[bytes]
) -> _Tally:
    kept = set(still)
    # No gateway publishes them itself: a flood of them waits in SQL for the backlog.
    results = retry(tx, [Submission(each) for each in chunk.retries if each.retry_of in kept])
    for result in results:
        # Of an owner who is gone nothing is left to be done.
        if isinstance(result, BaseException) and not isinstance(result, OwnerGone):
            raise result
    done = sum(isinstance(r, RetryResult) and r.submitted is not None for r in results)
    failures = tuple(each for each in chunk.failures if each.task_id in kept)
    return _Tally(done, len(chunk.task_ids) - done - len(failures), failures)


_Do = Callable[[Transaction, BulkOperation, BulkChunk, Sequence[bytes]], _Tally]

_DO: dict[BulkKind, _Do] = {
    BulkKind.CANCEL: _cancel,
    BulkKind.RETRY: _retry,
    BulkKind.DELETE: _delete,
}


def _save(tx: Transaction, before: BulkOperation, chunk: BulkChunk, tally: _Tally) -> None:
    done = before.done + tally.done
    skipped = before.skipped + tally.skipped
    failed = before.failed + len(tally.failures)
    if chunk.last:
        # Those too that had left the scope before anybody came to them.
        skipped = max(skipped, before.total - done - failed)
    tx.connection.execute(
        sa.update(bulk_operations)
        .where(_c.id == before.id)
        .values(
            cursor=chunk.task_ids[-1] if chunk.task_ids else chunk.cursor,
            total=max(before.total, done + skipped + failed),
            done=done,
            skipped=skipped,
            failed=failed,
            failures=encode_failures((*before.failures, *tally.failures)),
            update_time=tx.now_us,
            end_time=tx.now_us if chunk.last else None,
        )
    )
