"""Page and resume tokens: where a caller has got to, signed, and good for that caller only.

A token is opaque to callers. It is bound to a user and to a scope, the text that names the list
(its method, filter and order), and holds neither: only the place in the list, and an HMAC-SHA-256
over all three. The key is the deployment's, so that a token is good at every gateway and after
every restart.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TypeVar

import msgspec

from taskwire_core.errors import FieldViolation, InvalidRequest

KEY_BYTES = 32

_MAC_BYTES = 16
"""Half of the HMAC: nobody can search 2^128 keys through a gateway, and tokens are in URLs."""

Place = TypeVar("Place")


class PageTokens:
    """Makes tokens and reads them; `key` is 32 secret bytes that all gateways share."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        self._key = key

    def sign(self, place: object, *, user: str, scope: str) -> str:
        """The token for `place`, a plain value or a dataclass, in the list that `scope` names."""
        body = msgspec.msgpack.encode(place)
        return base64.urlsafe_b64encode(self._mac(body, user, scope) + body).decode().rstrip("=")

    def read(self, token: str, kind: type[Place], *, user: str, scope: str) -> Place:
        """The place, of the type `kind`, that `token` was made for.

        Raises:
            InvalidRequest: INVALID_PAGE_TOKEN: the token was not made for this user and scope.
        """
        try:
            data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _invalid() from None
        mac, body = data[:_MAC_BYTES], data[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(body, user, scope)):
            raise _invalid()
        try:
            return msgspec.msgpack.decode(body, type=kind)
        except msgspec.DecodeError:
            # It is ours, of a release whose tokens had another form.
            raise _invalid() from None

    def _mac(self, body: bytes, user: str, scope: str) -> bytes:
        # As one encoded array, so that no two triples give the same bytes.
        signed = msgspec.msgpack.encode((user, scope, body))
        return hmac.digest(self._key, signed, "sha256")[:_MAC_BYTES]


def _invalid() -> InvalidRequest:
    return InvalidRequest(
        "INVALID_PAGE_TOKEN",
        "The token is not one that this server gave to you for this request; a token goes with"
        " the same filter and order. Start again without one.",
        violations=[FieldViolation("page_token", "is not a token of this server for this list")],
    )
