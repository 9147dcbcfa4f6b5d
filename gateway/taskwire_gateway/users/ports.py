"""What users need of the store."""

from __future__ import annotations

from typing import Protocol

from taskwire_core.user import (
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


class UserStore(Protocol):
    """Reads and writes of users. Each raises StoreUnavailable when nothing was written."""

    async def users(self, lookup: UserLookup) -> list[User]:
        """The users that are asked for, in the order of their ids."""

    async def create_user(self, new: NewUser) -> User | Taken | Reused:
        """The new user, or the one that the request id has created before."""

    async def change_user(self, change: UserChange) -> User | Taken | Stale | None:
        """The user afterwards; None when there is none."""

    async def delete_user(self, removal: UserRemoval) -> User | Busy | Stale | None:
        """The user as they were; None when there is none."""
