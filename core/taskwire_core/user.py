"""A user, and what can become of a change of users."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

DEV = "dev"
"""The id and the name of the user who is always there: everybody, as long as nobody says who."""

DEV_EMAIL = "dev@localhost"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who owns tasks; `version` counts the changes, from 1."""

    id: str
    username: str
    email: str
    display_name: str
    create_time_us: int
    update_time_us: int
    version: int

    @property
    def etag(self) -> str:
        """A text that changes with every change, in quotes as RFC 7232 has it.

        The time is in it for the sake of a restored backup, whose versions are counted again.
        """
        content = f"{self.id} {self.version} {self.update_time_us}".encode()
        return f'"{hashlib.blake2s(content, digest_size=8).hexdigest()}"'


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to create; `request_id` is unique for `creator`, who asks for it."""

    id: str
    username: str
    email: str
    display_name: str = ""
    creator: str = DEV
    request_id: str | None = None
    request_hash: bytes = b""


@dataclass(frozen=True, slots=True)
class UserChange:
    """New values, by field, for the user `id`, if `etag` is empty or still theirs."""

    id: str
    values: Mapping[str, str]
    etag: str = ""


@dataclass(frozen=True, slots=True)
class UserRemoval:
    """Delete the user `id`, if `etag` is empty or still theirs."""

    id: str
    etag: str = ""


@dataclass(frozen=True, slots=True)
class UserLookup:
    """Which users to read: those behind the id `after`, and with the values that are set."""

    limit: int
    after: str = ""
    id: str = ""
    username: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """Nothing was written: another user has the values of these fields."""

    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stale:
    """Nothing was written: the user has changed since the etag was read."""

    user: User


@dataclass(frozen=True, slots=True)
class Busy:
    """Nothing was written: so many tasks of the user have not ended."""

    tasks: int


@dataclass(frozen=True, slots=True)
class Reused:
    """Nothing was written: the request id was used for another user."""
