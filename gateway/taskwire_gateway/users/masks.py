"""Field masks of updates, as AIP-134 and AIP-161 have them."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import Message

from taskwire_core.errors import FieldViolation, InvalidRequest

ALL = "*"


def masked_fields(paths: Sequence[str], message: Message, writable: Sequence[str]) -> list[str]:
    """The fields among `writable` that an update of `message` with this mask is to write.

    No paths mean the fields that are set, "*" means all. Output-only fields are passed over,
    so that a client may send back what it has read.

    Raises:
        InvalidRequest: INVALID_FIELD_MASK, naming every path that is wrong.
    """
    if not paths:
        return [name for name in writable if getattr(message, name)]
    if list(paths) == [ALL]:
        return list(writable)
    known = message.DESCRIPTOR.fields_by_name
    wrong = [path for path in paths if path not in known]
    if wrong:
        raise _invalid(wrong, [*writable, ALL])
    return [name for name in writable if name in paths]


def _invalid(wrong: Sequence[str], writable: Sequence[str]) -> InvalidRequest:
    listed = ", ".join(writable)
    return InvalidRequest(
        "INVALID_FIELD_MASK",
        f"The update mask names fields that there are not; there are {listed} (which stands"
        " alone).",
        metadata={"paths": ",".join(path[:64] for path in wrong[:10]), "known": listed},
        violations=[
            FieldViolation("update_mask", f"{path[:64]} is none of {listed}") for path in wrong
        ],
    )
