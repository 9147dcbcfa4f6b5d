"""Two gateways on one database that act as two users, as two callers would be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from taskwire_contracts import Contracts
from taskwire_core.user import NewUser
from taskwire_db import operations as ops
from taskwire_gateway.adapters.users import everybody
from taskwire_gateway.embedded import Foundation, surroundings
from taskwire_gateway.gateway import Gateway, Tuning
from tests.gateway.running import Running

ADA = NewUser("ada-1", "ada", "ada@example.com")


@dataclass(frozen=True)
class Gateways:
    """One acts as `dev`, the other as `ada`."""

    dev: Running
    ada: Running
    ada_id: str = ADA.id


@asynccontextmanager
async def acting_as_ada(
    foundation: Foundation, contracts: Contracts, tuning: Tuning
) -> AsyncIterator[Running]:
    """A gateway that acts as ada, who is created."""
    foundation.database.execute(ops.create_user, ADA)
    identity = everybody(foundation.database, ADA.username)
    gateway = Gateway(surroundings(contracts, foundation, identity), tuning)
    address = f"127.0.0.1:{await gateway.start('127.0.0.1:0')}"
    async with grpc.aio.insecure_channel(address) as channel:
        yield Running(gateway, foundation, contracts, channel, address)
    await gateway.close()
