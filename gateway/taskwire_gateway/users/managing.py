"""The use cases behind UserService: what is allowed, and in which words it is refused."""

from __future__ import annotations

from collections.abc import Mapping

from taskwire_contracts.validation import not_valid
from taskwire_core.errors import (
    Conflict,
    FieldViolation,
    NotFound,
    RequestError,
    Unready,
)
from taskwire_core.failure import Code
from taskwire_core.user import (
    DEV,
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
from taskwire_gateway.users.ports import UserStore

_TAKEN = {"username": "USERNAME_TAKEN", "email": "EMAIL_TAKEN"}
_REQUIRED = ("username", "email")


class Users:
    """Creates, reads, changes and deletes users."""

    def __init__(self, store: UserStore) -> None:
        self._store = store

    async def create(self, new: NewUser) -> User:
        """The new user, or the one that the same request has created before.

        Raises:
            InvalidRequest: the username or the e-mail address is missing.
            Conflict: they are taken, or the request id was used for another user.
        """
        _require({"username": new.username, "email": new.email})
        found = await self._store.create_user(new)
        if isinstance(found, Reused):
            raise Conflict(
                "REQUEST_ID_REUSED",
                f"The request id {new.request_id} was used for another user; choose a new one.",
                metadata={"requestId": new.request_id or ""},
                violations=[FieldViolation("request_id", "was used with other content")],
            )
        if isinstance(found, Taken):
            raise _taken(found)
        return found

    async def get(self, user_id: str) -> User:
        """The user.

        Raises:
            NotFound: there is none.
        """
        found = await self._store.users(UserLookup(1, id=user_id))
        if not found:
            raise user_not_found(user_id)
        return found[0]

    async def find(self, lookup: UserLookup) -> list[User]:
        """The users that are asked for, in the order of their ids."""
        return await self._store.users(lookup)

    async def change(self, change: UserChange, *, caller: str) -> User:
        """The user afterwards.

        Raises:
            InvalidRequest: the username or the e-mail address would be empty.
            NotFound: there is no such user.
            Conflict: another user has the new username or e-mail address.
            Unready: a user as whom the server acts would be renamed.
            RequestError: ETAG_MISMATCH.
        """
        _require(change.values)
        name = change.values.get("username")
        if name is not None and change.id in (DEV, caller):
            # A server finds the user that it acts as by their name when it starts.
            present = await self.get(change.id)
            if name != present.username:
                raise _protected(change.id, "keeps their name")
        found = await self._store.change_user(change)
        if isinstance(found, Taken):
            raise _taken(found)
        return _present(change.id, found)

    async def delete(self, removal: UserRemoval, *, caller: str) -> None:
        """Delete a user who has no task that waits or runs.

        Raises:
            NotFound: there is no such user.
            Unready: the server acts as this user, or tasks of theirs have not ended.
            RequestError: ETAG_MISMATCH.
        """
        if removal.id in (DEV, caller):
            raise _protected(removal.id, "cannot be deleted")
        found = await self._store.delete_user(removal)
        if isinstance(found, Busy):
            raise Unready(
                "USER_HAS_TASKS",
                f"The user has {found.tasks} task{'' if found.tasks == 1 else 's'} that"
                f" {'has' if found.tasks == 1 else 'have'} not ended; wait for the end, or cancel"
                " first.",
                metadata={"id": removal.id, "tasks": str(found.tasks)},
            )
        _present(removal.id, found)


def user_not_found(user_id: str) -> NotFound:
    """The answer for a user who is not there."""
    return NotFound("USER_NOT_FOUND", f"There is no user {user_id}.", metadata={"id": user_id})


def _present(user_id: str, found: User | Stale | None) -> User:
    if found is None:
        raise user_not_found(user_id)
    if isinstance(found, Stale):
        raise RequestError(
            "ETAG_MISMATCH",
            "The user has changed since it was read; read it again and repeat the change.",
            code=Code.ABORTED,
            metadata={"id": user_id, "etag": found.user.etag},
        )
    return found


def _require(values: Mapping[str, str]) -> None:
    violations = [
        FieldViolation(f"user.{name}", "value is required", "required")
        for name in _REQUIRED
        if values.get(name) == ""
    ]
    if violations:
        raise not_valid(violations)


def _taken(found: Taken) -> Conflict:
    """One error for both fields: its reason is that of the first, the violations name both."""
    what = {"username": "user name", "email": "e-mail address"}
    words = " and the ".join(what[name] for name in found.fields)
    return Conflict(
        _TAKEN[found.fields[0]],
        f"The {words} {'are' if len(found.fields) > 1 else 'is'} taken; choose another.",
        metadata={"fields": ",".join(found.fields)},
        violations=[
            FieldViolation(f"user.{name}", "is taken by another user", _TAKEN[name])
            for name in found.fields
        ],
    )


def _protected(user_id: str, why: str) -> Unready:
    return Unready(
        "USER_PROTECTED",
        f"The user {user_id} {why}, because this server acts as them.",
        metadata={"id": user_id},
    )
