"""The database as the port of users. Only the mains import this file."""

from __future__ import annotations

from taskwire_core.errors import ConfigurationError
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
from taskwire_db import operations as db
from taskwire_db.database import Database
from taskwire_db.reader import Reader
from taskwire_db.writer import Writer
from taskwire_gateway.identity import Everybody


class StoredUsers:
    """See `UserStore`."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def users(self, lookup: UserLookup) -> list[User]:
        """See `UserStore`."""
        return await self._reader.call(Reader.users, lookup)

    async def create_user(self, new: NewUser) -> User | Taken | Reused:
        """See `UserStore`."""
        return await self._writer.call(db.create_user, new)

    async def change_user(self, change: UserChange) -> User | Taken | Stale | None:
        """See `UserStore`."""
        return await self._writer.call(db.change_user, change)

    async def delete_user(self, removal: UserRemoval) -> User | Busy | Stale | None:
        """See `UserStore`."""
        return await self._writer.call(db.delete_user, removal)


def everybody(database: Database, username: str) -> Everybody:
    """The user as whom everybody acts; `dev` is made if it is missing.

    Raises:
        ConfigurationError: there is no such user.
        StoreUnavailable: the database does not answer.
    """
    found = database.execute(db.acting_user, username)
    if found is not None:
        return Everybody(found.id, found.username)
    if username == DEV:
        raise ConfigurationError(
            f"the user {DEV} cannot be made, because another one has that name or the e-mail"
            f" address {DEV_EMAIL}; change it with `taskwire users update`"
        )
    raise ConfigurationError(
        f"TASKWIRE_USER names the user {username}, whom there is not; create them with"
        " `taskwire users create` beside a gateway of another user, or leave the setting out"
    )
