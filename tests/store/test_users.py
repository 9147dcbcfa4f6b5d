"""Users in the store: unique, changed only as they were read, and never gone from under a task."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.orm.exc import StaleDataError

from taskwire_core import recovery
from taskwire_core.ids import new_id, to_text
from taskwire_core.task import Payload
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
    UserLookup,
    UserRemoval,
)
from taskwire_db import operations as ops
from taskwire_db import orm
from taskwire_db.database import Database
from taskwire_db.reader import Reader
from taskwire_db.writer import Writer
from tests.store.steps import ManualClock, claimed, new_task, worker


def ada(
    username: str = "ada", email: str = "ada@example.com", request_id: str | None = None
) -> NewUser:
    return NewUser(
        to_text(new_id()),
        username,
        email,
        request_id=request_id,
        request_hash=f"{username} {email}".encode(),
    )


def created(database: Database, new: NewUser | None = None) -> User:
    found = database.execute(ops.create_user, new or ada())
    assert isinstance(found, User)
    return found


def owned(owner: str) -> ops.SubmitUnit:
    return ops.SubmitUnit((ops.Submission(new_task(owner=owner)),))


def test_a_new_database_has_the_user_dev(reader: Reader) -> None:
    (dev,) = reader.users(UserLookup(10))
    assert (dev.id, dev.username, dev.email) == (DEV, DEV, DEV_EMAIL)


def test_a_created_user_is_found_by_each_of_its_names(database: Database, reader: Reader) -> None:
    user = created(database)
    for lookup in (
        UserLookup(10, id=user.id),
        UserLookup(10, username="ada"),
        UserLookup(10, email="ADA@Example.com"),
    ):
        assert reader.users(lookup) == [user]


@pytest.mark.parametrize(
    ("new", "fields"),
    [
        (ada("ADA", "new@example.com"), ("username",)),
        (ada("adb", "Ada@EXAMPLE.com"), ("email",)),
        (ada(), ("username", "email")),
    ],
)
def test_what_is_taken_is_refused_and_all_of_it_is_named(
    database: Database, reader: Reader, new: NewUser, fields: tuple[str, ...]
) -> None:
    created(database)
    assert database.execute(ops.create_user, new) == Taken(fields)
    assert len(reader.users(UserLookup(10))) == 2


def test_of_users_in_one_group_that_want_one_name_the_first_has_it(database: Database) -> None:
    wanted = [ada(email="a@b.c"), ada(email="d@e.f"), ada("bob", "b@b.c")]
    with database.transaction() as transaction:
        found = ops.create_user(transaction, wanted)
    assert [type(each) for each in found] == [User, Taken, User]


def test_of_many_processes_that_create_one_user_exactly_one_does(
    database: Database, reader: Reader, url: str, clock: ManualClock
) -> None:
    start = threading.Barrier(6)

    def create(_: int) -> User | Taken | Reused:
        other = Database(url, clock=clock)
        start.wait()
        try:
            with other.transaction() as transaction:
                return ops.create_user(transaction, [ada()])[0]
        finally:
            other.close()

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(create, range(6)))
    assert sorted(type(each).__name__ for each in found) == ["Taken"] * 5 + ["User"]
    assert len(reader.users(UserLookup(10, username="ada"))) == 1


def test_the_same_request_gives_the_same_user_and_another_content_is_refused(
    database: Database,
) -> None:
    first = created(database, ada(request_id="r"))
    assert created(database, ada(request_id="r")) == first
    assert database.execute(ops.create_user, ada("bob", "b@c.d", "r")) == Reused()


def test_a_request_that_was_refused_can_be_repeated_when_the_name_is_free(
    database: Database,
) -> None:
    first = created(database)
    assert isinstance(database.execute(ops.create_user, ada(request_id="r")), Taken)
    database.execute(ops.delete_user, UserRemoval(first.id))
    assert created(database, ada(request_id="r")).id != first.id


def test_the_request_of_a_deleted_user_is_forgotten(database: Database) -> None:
    first = created(database, ada(request_id="r"))
    database.execute(ops.delete_user, UserRemoval(first.id))
    assert created(database, ada(request_id="r")).id != first.id


def test_a_change_makes_a_new_etag_and_no_change_makes_none(
    database: Database, clock: ManualClock
) -> None:
    user = created(database)
    clock.advance(1)
    changed = database.execute(ops.change_user, UserChange(user.id, {"email": "a@b.c"}, user.etag))
    assert isinstance(changed, User)
    assert (changed.email, changed.username, changed.version) == ("a@b.c", "ada", 2)
    assert changed.etag != user.etag
    assert changed.update_time_us == clock.now_us() > changed.create_time_us
    assert database.execute(ops.change_user, UserChange(user.id, {"email": "a@b.c"})) == changed


def test_a_change_of_an_old_copy_is_refused(database: Database) -> None:
    user = created(database)
    changed = database.execute(ops.change_user, UserChange(user.id, {"email": "a@b.c"}))
    assert isinstance(changed, User)
    stale = database.execute(ops.change_user, UserChange(user.id, {"email": "x@y.z"}, user.etag))
    assert stale == Stale(changed)
    assert database.execute(ops.delete_user, UserRemoval(user.id, user.etag)) == stale


def test_a_change_to_what_is_taken_is_refused_and_writes_nothing(
    database: Database, reader: Reader
) -> None:
    created(database)
    bob = created(database, ada("bob", "bob@example.com"))
    values = {"username": "ada", "email": "ADA@example.com", "display_name": "Bob"}
    found = database.execute(ops.change_user, UserChange(bob.id, values))
    assert found == Taken(("username", "email"))
    assert reader.users(UserLookup(1, id=bob.id)) == [bob]


def test_a_user_that_is_not_there_is_none(database: Database) -> None:
    assert database.execute(ops.change_user, UserChange("x", {})) is None
    assert database.execute(ops.delete_user, UserRemoval("x")) is None


def test_a_user_with_live_tasks_is_kept_and_one_with_ended_tasks_goes(
    database: Database, reader: Reader
) -> None:
    user = created(database)
    submitted = database.execute(ops.submit_owned, owned(user.id)).submitted[0].task
    assert database.execute(ops.delete_user, UserRemoval(user.id)) == Busy(1)
    running = claimed(database, submitted.id, worker(database))
    assert database.execute(ops.delete_user, UserRemoval(user.id)) == Busy(1)
    database.execute(ops.settle, recovery.succeeded(running, Payload("t", b"")))
    assert database.execute(ops.delete_user, UserRemoval(user.id)) == user
    assert reader.users(UserLookup(1, id=user.id)) == []
    assert submitted.id in reader.get([submitted.id])


def test_a_task_of_nobody_is_refused_and_its_neighbours_are_recorded(database: Database) -> None:
    user = created(database)
    with database.transaction() as transaction:
        found = ops.submit_owned(transaction, [owned(user.id), owned("nobody"), owned(DEV)])
    assert [type(each) for each in found] == [ops.UnitResult, ops.OwnerGone, ops.UnitResult]


def test_a_delete_and_submissions_at_the_same_time_leave_no_task_without_its_owner(
    database: Database, reader: Reader
) -> None:
    for round_ in range(10):
        user = created(database, ada(f"user{round_}", f"user{round_}@example.com"))
        writers = [Writer(database) for _ in range(2)]
        submits = [writers[0].run(ops.submit_owned, owned(user.id)) for _ in range(5)]
        delete = writers[1].run(ops.delete_user, UserRemoval(user.id))
        submits += [writers[0].run(ops.submit_owned, owned(user.id)) for _ in range(5)]
        outcome = delete.result(20)
        recorded = [each for each in submits if each.exception(20) is None]
        for writer in writers:
            writer.close()
        assert bool(recorded) == isinstance(outcome, Busy)
        assert bool(reader.users(UserLookup(1, id=user.id))) == isinstance(outcome, Busy)


def test_dev_is_made_again_when_it_is_missing_and_nobody_else_is(database: Database) -> None:
    database.execute(ops.delete_user, UserRemoval(DEV))
    assert database.execute(ops.acting_user, "ada") is None
    found = database.execute(ops.acting_user, DEV)
    assert found is not None
    assert found.id == DEV
    assert database.execute(ops.acting_user, created(database).username) is not None


def test_dev_cannot_be_made_where_its_address_is_taken(database: Database) -> None:
    database.execute(ops.delete_user, UserRemoval(DEV))
    created(database, ada(email=DEV_EMAIL.upper()))
    assert database.execute(ops.acting_user, DEV) is None


def test_a_session_adds_finds_and_changes_users(
    database: Database, reader: Reader, url: str
) -> None:
    with orm.session(url) as session:
        session.add(orm.User(username="ada", email="Ada@example.com", display_name="Ada"))
        session.commit()
        ada = session.scalars(sa.select(orm.User).where(orm.User.username == "ada")).one()
        assert abs((datetime.now(UTC) - ada.create_time).total_seconds()) < 60
        ada.display_name = "Ada L."
        session.commit()
        assert repr(ada) == "<User ada Ada@example.com>"
    (found,) = reader.users(UserLookup(1, username="ada"))
    assert (found.display_name, found.version) == ("Ada L.", 2)


def test_a_session_that_reads_holds_nobody_up(database: Database, url: str) -> None:
    with orm.session(url) as session:
        dev = session.scalars(sa.select(orm.User)).one()
        created(database)
        # What it has read is not too old to be changed.
        dev.display_name = "Everybody"
        session.commit()
    found = database.execute(ops.acting_user, DEV)
    assert found is not None
    assert found.display_name == "Everybody"


def test_a_session_does_not_overwrite_what_it_has_not_read(database: Database, url: str) -> None:
    with orm.session(url) as session:
        dev = session.scalars(sa.select(orm.User)).one()
        database.execute(ops.change_user, UserChange(DEV, {"email": "new@example.com"}))
        dev.email = "old@example.com"
        with pytest.raises(StaleDataError):
            session.commit()


def test_a_session_is_bound_by_the_same_rules(database: Database, url: str) -> None:
    created(database)
    with orm.session(url) as session:
        session.add(orm.User(username="adb", email="ADA@example.com"))
        with pytest.raises(exc.IntegrityError):
            session.commit()
    with pytest.raises(ValueError, match="lower-case letter"):
        orm.User(username="Ada Lovelace", email="a@b.c")
