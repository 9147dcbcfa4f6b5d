"""An ordinary stub with the published service config outlives a restart of the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import grpc
from msgspec.structs import replace

from taskwire.client.service_config import service_config
from taskwire_contracts import Contracts
from taskwire_core.failure import Code
from taskwire_gateway.embedded import Foundation, surroundings
from taskwire_gateway.gateway import Gateway, Tuning
from tests.gateway.running import NOT_THERE, SHRINK, Running, Worker, refusal
from tests.support.admin import read
from tests.support.eventually import eventually_async


@asynccontextmanager
async def durable_call(running: Running) -> AsyncIterator[grpc.aio.UnaryUnaryCall[bytes, bytes]]:
    """A call with the request id "one", by a stub that repeats what may be repeated."""
    options = [("grpc.service_config", service_config("acme.v1.Images"))]
    async with grpc.aio.insecure_channel(running.address, options=options) as channel:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
        method = channel.unary_unary(f"/{SHRINK}")
        data = running.shrink().SerializeToString()
        yield method(data, metadata=(("taskwire-request-id", "one"),), timeout=30)


async def test_a_durable_call_attaches_again_by_itself_and_runs_once(
    running: Running, worker: Worker, foundation: Foundation, contracts: Contracts
) -> None:
    async with durable_call(running) as call:
        answer = asyncio.ensure_future(call)
        task_id = await running.made_by("one")
        await running.gateway.drain(timedelta(seconds=5))
        successor = Gateway(surroundings(contracts, foundation), Tuning())
        await successor.start(running.address)
        held = await worker.claim(task_id)
        await worker.succeed(held, running.message("acme.v1.ShrinkResponse", url="small"))
        assert await answer == b"\n\x05small"
        await successor.close()


async def test_a_task_that_has_failed_as_unavailable_is_not_asked_for_again(
    running: Running, worker: Worker
) -> None:
    def calls() -> float:
        numbers = read(running.foundation.instruments.registry)
        return numbers.sum("taskwire_gateway_calls_total", method=SHRINK)

    async with durable_call(running) as call:
        answer = asyncio.ensure_future(refusal(call))
        held = await worker.claim(await running.made_by("one"))
        await worker.fail(held, replace(NOT_THERE, code=Code.UNAVAILABLE))
        refused = await answer
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "NO_SUCH_PICTURE")
    await eventually_async(lambda: calls() == 1)
