"""Users: created, changed and deleted, each in the transaction that checks what forbids it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from taskwire_core.lifecycle import State
from taskwire_core.user import (
    DEV,
    DEV_EMAIL,
    Busy,
    NewUser,
    Reused,
    Stale,
    Taken,
    User,
    UserChange,
    UserRemoval,
)
from taskwire_db.database import Transaction
from taskwire_db.group import AnyRow, GroupStatement, insert_for
from taskwire_db.models import task_counters, user_requests
from taskwire_db.operations.submit import SubmitUnit, UnitResult, submit
from taskwire_db.problems import Contended

users = sa.table(
    "users",
    sa.column("id", sa.Text),
    sa.column("username", sa.Text),
    sa.column("email", sa.Text),
    sa.column("display_name", sa.Text),
    # Microseconds, as the core counts them; `taskwire_db.orm` shows them as datetimes.
    sa.column("create_time", sa.BigInteger),
    sa.column("update_time", sa.BigInteger),
    sa.column("version", sa.Integer),
)
"""In the order of the fields of `User`."""

_UNIQUE = ("username", "email")
_LIVE = [state for state in State if not state.terminal]


class OwnerGone(Exception):
    """Nothing was recorded: the user who was to own it does not exist."""


def read_user(row: AnyRow) -> User:
    """The user in a row of `users`."""
    return User(*row)


def create_user(tx: Transaction, wanted: Sequence[NewUser]) -> list[User | Taken | Reused]:
    """The new users, or those that the request ids have created before."""
    return [_create(tx, new) for new in wanted]


def change_user(tx: Transaction, wanted: Sequence[UserChange]) -> list[User | Taken | Stale | None]:
    """The users afterwards; None where there is no such user."""
    return [_change(tx, change) for change in wanted]


def delete_user(tx: Transaction, wanted: Sequence[UserRemoval]) -> list[User | Busy | Stale | None]:
    """The users as they were; None where there is no such user."""
    return [_delete(tx, removal) for removal in wanted]


def acting_user(tx: Transaction, names: Sequence[str]) -> list[User | None]:
    """The users of these names; `dev` is created when it is missing."""
    return [_acting(tx, name) for name in names]


def submit_owned(tx: Transaction, units: Sequence[SubmitUnit]) -> list[UnitResult | BaseException]:
    """`submit` for owners who exist; until the commit nobody can delete them."""
    owners = {s.task.owner for unit in units for s in unit.submissions}
    there = {row[0] for row in _hold.run(tx.connection, [(owner,) for owner in sorted(owners)])}
    if owners <= there:
        return submit(tx, units)
    owned = [all(s.task.owner in there for s in unit.submissions) for unit in units]
    answers = iter(submit(tx, [unit for unit, kept in zip(units, owned, strict=True) if kept]))
    return [next(answers) if kept else OwnerGone() for kept in owned]


# A delete locks the row for itself, so that it comes before or after these submissions.
_hold = GroupStatement(
    {"id": sa.Text()},
    lambda v: (
        sa.select(users.c.id)
        .where(users.c.id.in_(sa.select(v.c.id)))
        .order_by(users.c.id)
        .with_for_update(read=True, key_share=True)
    ),
)


def _create(tx: Transaction, new: NewUser) -> User | Taken | Reused:
    if new.request_id is not None and not _claim_request(tx, new):
        return _created_before(tx, new)
    found = _insert(tx, new)
    if isinstance(found, Taken) and new.request_id is not None:
        tx.connection.execute(sa.delete(user_requests).where(_request_of(new)))
    return found


def _insert(tx: Transaction, new: NewUser) -> User | Taken:
    user = User(new.id, new.username, new.email, new.display_name, tx.now_us, tx.now_us, version=1)
    with _unique(tx) as refused:
        tx.connection.execute(sa.insert(users).values(astuple(user)))
    return _taken(tx, user) if refused else user


def _claim_request(tx: Transaction, new: NewUser) -> bool:
    """Whether the request id was unused; it is this user's from now on."""
    statement: Any = insert_for(tx.connection.dialect, user_requests)
    statement = statement.values(
        creator=new.creator,
        request_id=new.request_id,
        user_id=new.id,
        request_hash=new.request_hash,
    )
    statement = statement.on_conflict_do_nothing().returning(user_requests.c.user_id)
    return tx.connection.execute(statement).first() is not None


def _created_before(tx: Transaction, new: NewUser) -> User | Reused:
    statement = (
        sa.select(user_requests.c.request_hash, users)
        .join_from(user_requests, users, users.c.id == user_requests.c.user_id)
        .where(_request_of(new))
    )
    found = tx.connection.execute(statement).first()
    if found is None:
        raise Contended("the user of a request id is being deleted")
    known, *row = found
    return read_user(row) if bytes(known) == new.request_hash else Reused()


def _request_of(new: NewUser) -> sa.ColumnElement[bool]:
    return (user_requests.c.creator == new.creator) & (user_requests.c.request_id == new.request_id)


def _change(tx: Transaction, change: UserChange) -> User | Taken | Stale | None:
    user = _locked(tx, change.id)
    if user is None or (change.etag and change.etag != user.etag):
        return user and Stale(user)
    wanted: dict[str, Any] = dict(change.values)
    if all(getattr(user, name) == value for name, value in wanted.items()):
        return user
    statement = (
        sa.update(users)
        .where(users.c.id == user.id)
        .values(**wanted, update_time=tx.now_us, version=user.version + 1)
    )
    with _unique(tx) as refused:
        tx.connection.execute(statement)
    after = replace(user, **wanted, update_time_us=tx.now_us, version=user.version + 1)
    return _taken(tx, after) if refused else after


def _delete(tx: Transaction, removal: UserRemoval) -> User | Busy | Stale | None:
    user = _locked(tx, removal.id)
    if user is None or (removal.etag and removal.etag != user.etag):
        return user and Stale(user)
    c = task_counters.c
    statement = sa.select(sa.func.sum(c.count)).where(c.owner == user.id, c.state.in_(_LIVE))
    tasks = tx.connection.execute(statement).scalar_one()
    if tasks:
        return Busy(int(tasks))
    mine = (user_requests.c.user_id == user.id) | (user_requests.c.creator == user.id)
    tx.connection.execute(sa.delete(user_requests).where(mine))
    tx.connection.execute(sa.delete(users).where(users.c.id == user.id))
    return user


def _acting(tx: Transaction, name: str) -> User | None:
    found = _one(tx, users.c.id == DEV if name == DEV else users.c.username == name)
    if found is None and name == DEV:
        made = _insert(tx, NewUser(DEV, DEV, DEV_EMAIL))
        # Another process may have made it at the same time.
        return made if isinstance(made, User) else _one(tx, users.c.id == DEV)
    return found


def _locked(tx: Transaction, user_id: str) -> User | None:
    return _one(tx, users.c.id == user_id)


def _one(tx: Transaction, condition: sa.ColumnElement[bool]) -> User | None:
    statement = sa.select(users).where(condition).with_for_update()
    row = tx.connection.execute(statement).first()
    return None if row is None else read_user(row)


@contextmanager
def _unique(tx: Transaction) -> Iterator[list[exc.IntegrityError]]:
    """A block that may break a unique index: then nothing of it is written, and it is told."""
    refused: list[exc.IntegrityError] = []
    try:
        with tx.connection.begin_nested():
            yield refused
    except exc.IntegrityError as error:
        refused.append(error)


def _taken(tx: Transaction, user: User) -> Taken:
    """Which values of `user` are another's: all of them, and not only the first."""
    found = []
    for name in _UNIQUE:
        same = sa.func.lower(users.c[name]) == getattr(user, name).lower()
        statement = sa.select(users.c.id).where(same, users.c.id != user.id)
        if tx.connection.execute(statement).first() is not None:
            found.append(name)
    if not found:
        raise Contended("the user who had the name was deleted at this very moment")
    return Taken(tuple(found))
