"""The change log: which tasks changed, in the order in which that became visible.

Every transaction that moves or deletes tasks writes one row at its end, under its own number. On
SQLite the row's place is the number, given under the write lock, so that the order is that of
the commits. On PostgreSQL, whose writers work side by side, the number is the transaction's own
id, and a snapshot tells which of them are visible. So a reader misses no change and sees none
twice, whatever the clocks say and however long a transaction takes; times would do neither.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from taskwire_db.group import GroupStatement, RowInsert
from taskwire_db.models import Micros, deployment, task_changes

_ID_BYTES = 16


class _OfOwner(msgspec.Struct, frozen=True, array_like=True):
    """The ids of one owner's tasks, one behind the other."""

    owner: str
    changed: bytes
    deleted: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[_OfOwner])


class ChangeEntry:
    """What one transaction has to say in the change log."""

    def __init__(self) -> None:
        self._deleted: defaultdict[str, dict[bytes, bool]] = defaultdict(dict)

    def __len__(self) -> int:
        """How many tasks have changed."""
        return sum(map(len, self._deleted.values()))

    def add(self, task_id: bytes, owner: str, *, deleted: bool = False) -> None:
        """A task has changed, or was deleted; if it was here before, this is its last state."""
        self._deleted[owner][task_id] = deleted

    def write(self, connection: sa.Connection, *, now_us: int) -> str | None:
        """Write the row; called once, before the commit. Its number, on PostgreSQL only."""
        if not self._deleted:
            return None
        if connection.dialect.name == "sqlite":
            _insert_next.run(connection, [(None, now_us, self._body())])
            return None
        ((number,),) = _insert_own.run(connection, [(now_us, self._body())])
        return str(number)

    def _body(self) -> bytes:
        return _encoder.encode(
            [
                _OfOwner(
                    owner,
                    b"".join(task_id for task_id, gone in deleted.items() if not gone),
                    b"".join(task_id for task_id, gone in deleted.items() if gone),
                )
                for owner, deleted in self._deleted.items()
            ]
        )


def entries_in(body: bytes) -> list[tuple[bytes, str, bool]]:
    """Each task of a row with its owner and whether it was deleted, in the order of the ids."""
    return sorted(
        (task_id, part.owner, deleted)
        for part in _decoder.decode(body)
        for ids, deleted in ((part.changed, False), (part.deleted, True))
        for task_id in _split(ids)
    )


def _split(ids: bytes) -> Iterator[bytes]:
    return (ids[start : start + _ID_BYTES] for start in range(0, len(ids), _ID_BYTES))


# SQLite makes NULL the number behind the greatest, which is why retention leaves that one.
_insert_next = RowInsert(task_changes)


def _own_row(v: sa.CTE) -> sa.ClauseElement:
    own_id: sa.ColumnClause[int] = sa.literal_column("pg_current_xact_id()::text::bigint")
    insert = postgresql.insert(task_changes).from_select(
        ["number", "change_time", "tasks"], sa.select(own_id, v.c.change_time, v.c.tasks)
    )
    # A row that is there already is of another cluster, restored from a dump.
    return insert.on_conflict_do_update(
        index_elements=["number"],
        set_={name: insert.excluded[name] for name in ("change_time", "tasks")},
    ).returning(task_changes.c.number)


_insert_own = GroupStatement({"change_time": Micros, "tasks": sa.LargeBinary()}, _own_row)


def drop_foreign_log(connection: sa.Connection) -> None:
    """Begin the log anew where it is of another PostgreSQL cluster, whose transactions had greater
    numbers: pages of this one would wait until its own have come so far."""
    if connection.dialect.name == "sqlite":
        return
    xmin, xmax = connection.execute(_BOUNDS).one()
    last = connection.execute(_LAST).scalar_one()
    if last >= xmax:
        connection.execute(sa.delete(task_changes))
        # What was seen of the other cluster is told apart from what is seen from now on.
        connection.execute(sa.update(deployment).values(pruned_number=xmin - 1))


_BOUNDS = sa.text(
    "SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint"
    " FROM pg_current_snapshot() AS s"
)
_LAST = sa.select(
    sa.func.greatest(
        sa.select(sa.func.coalesce(sa.func.max(task_changes.c.number), 0)).scalar_subquery(),
        sa.select(sa.func.coalesce(sa.func.max(deployment.c.pruned_number), 0)).scalar_subquery(),
    )
)
