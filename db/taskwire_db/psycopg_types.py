"""How psycopg is to send values: arrays in binary, and text of which PostgreSQL refuses nothing.

A NUL character is the one that its text cannot have. It means nothing to anybody, and a task must
not fail to be settled, or a request to be answered, because a message or a name has one in it.
"""

from __future__ import annotations

from psycopg import Connection
from psycopg.types.array import ListBinaryDumper
from psycopg.types.string import StrBinaryDumper, StrDumperUnknown

NUL_SHOWN = "\\x00"


class _Text(StrDumperUnknown):
    def dump(self, obj: str) -> bytes | bytearray | memoryview | None:
        return super().dump(obj.replace("\x00", NUL_SHOWN))


class _BinaryText(StrBinaryDumper):
    def dump(self, obj: str) -> bytes | bytearray | memoryview | None:
        return super().dump(obj.replace("\x00", NUL_SHOWN))


def adapt(connection: Connection[tuple[object, ...]]) -> None:
    """Have `connection` send them so."""
    adapters = connection.adapters
    # The last one for a type is the one that is taken where both formats would do.
    adapters.register_dumper(str, _BinaryText)
    adapters.register_dumper(str, _Text)
    adapters.register_dumper(list, ListBinaryDumper)
