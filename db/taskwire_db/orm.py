"""Users as SQLAlchemy's ORM has them, and a session for a shell.

    >>> from taskwire_db.orm import User, session
    >>> with session() as s:
    ...     s.add(User(username="ada", email="ada@example.com"))
    ...     s.commit()

The table is in the same metadata as all others, so that Alembic sees it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, validates

from taskwire_core.ids import new_id, to_text
from taskwire_db import operator_models
from taskwire_db.engines import engine_for_people
from taskwire_db.place import configured_url
from taskwire_db.url import parse_url

USERNAME = re.compile(r"[a-z][a-z0-9._-]{2,62}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(sa.types.TypeDecorator[datetime]):
    """An aware datetime, kept as the microseconds since 1970 that all tables have."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        """To the database."""
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Base(DeclarativeBase):
    """The root of the mapped classes."""

    metadata = operator_models.metadata


def _new_id() -> str:
    return to_text(new_id())


def _now() -> datetime:
    return datetime.now(UTC)


class User(Base):
    """Somebody who owns tasks. `version` is the ORM's: a change of an old copy is refused."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(sa.Text, primary_key=True, default=_new_id)
    username: Mapped[str] = mapped_column(sa.Text)
    email: Mapped[str] = mapped_column(sa.Text)
    display_name: Mapped[str] = mapped_column(sa.Text, default="")
    create_time: Mapped[datetime] = mapped_column(Moment, default=_now)
    update_time: Mapped[datetime] = mapped_column(Moment, default=_now, onupdate=_now)
    version: Mapped[int] = mapped_column(sa.Integer)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  # SQLAlchemy's own form

    @validates("username")
    def _check_username(self, _: str, value: str) -> str:
        if USERNAME.fullmatch(value) is None:
            raise ValueError(
                "a username is a lower-case letter, then lower-case letters, digits, dots,"
                " underscores and hyphens, 3 to 63 characters together"
            )
        return value

    def __repr__(self) -> str:
        return f"<User {self.username} {self.email}>"


# Unique in upper and lower case together, whoever writes them.
UNIQUE = {
    "username": sa.Index("ux_users_username", sa.func.lower(User.username), unique=True),
    "email": sa.Index("ux_users_email", sa.func.lower(User.email), unique=True),
}

metadata = Base.metadata


def session(url: str | None = None) -> Session:
    """A session on the database at `url`; by default the one that the settings name.

    On SQLite reading holds no lock. The first write takes the writers' lock until the commit,
    so commit soon: gateways and workers wait for it.
    """
    return Session(engine_for_people(parse_url(url or configured_url())))
