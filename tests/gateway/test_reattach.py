"""An ordinary stub with the published service config outlives a restart of the gateway."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import grpc

from taskwire.client.service_config import service_config
from taskwire_contracts import Contracts
from taskwire_gateway.embedded import Foundation, surroundings
from taskwire_gateway.gateway import Gateway, Tuning
from tests.gateway.running import SHRINK, Running, Worker


async def test_a_durable_call_attaches_again_by_itself_and_runs_once(
    running: Running, worker: Worker, foundation: Foundation, contracts: Contracts
) -> None:
    options = [("grpc.service_config", service_config("acme.v1.Images"))]
    async with grpc.aio.insecure_channel(running.address, options=options) as channel:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
        method = channel.unary_unary(f"/{SHRINK}")
        data = running.shrink().SerializeToString()
        call = method(data, metadata=(("taskwire-request-id", "one"),), timeout=30)
        answer = asyncio.ensure_future(call)
        task_id = await running.made_by("one")
        await running.gateway.drain(timedelta(seconds=5))
        successor = Gateway(surroundings(contracts, foundation), Tuning())
        await successor.start(running.address)
        held = await worker.claim(task_id)
        await worker.succeed(held, running.message("acme.v1.ShrinkResponse", url="small"))
        assert await answer == b"\n\x05small"
        await successor.close()
