"""The bank, as far as an example needs one: some card tokens have a meaning.

`tok_empty` is declined, `tok_down` finds the bank away, `tok_slow` takes ten seconds, and every
other card is charged. The bank's books are a file that ORDERS_BOOKS names, if it is set.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path


class Declined(Exception):
    """The bank said no; `args[0]` is its word for why."""


def charge(card_token: str, cents: int, *, key: str) -> str:
    """Take the money, and return the payment's id. A real bank knows a `key` that comes twice.

    Raises:
        Declined: the card cannot pay.
        ConnectionError: the bank does not answer.
    """
    if card_token == "tok_empty":
        raise Declined("insufficient_funds")
    if card_token == "tok_down":
        raise ConnectionError("the bank does not answer")
    if books := os.environ.get("ORDERS_BOOKS"):
        with Path(books).open("a") as file:
            file.write(f"{key} {cents}\n")
    if card_token == "tok_slow":
        time.sleep(10)
    return f"pay_{hashlib.sha256(key.encode()).hexdigest()[:16]}"
