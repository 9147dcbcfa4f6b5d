"""The end of a gateway: nobody can hold it up, and it is not mistaken for its callers' going."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

import grpc
import pytest
from grpc_health.v1 import health_pb2

from taskwire_core.lifecycle import State
from taskwire_gateway.admission import Kind
from tests.chaos import raw_http2 as raw
from tests.gateway.running import Running, Worker, refusal
from tests.support.eventually import eventually_async

WATCH = "/grpc.health.v1.Health/Watch"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"

Stream = grpc.aio.StreamStreamCall[bytes, bytes] | grpc.aio.UnaryStreamCall[bytes, bytes]


def health_watch(running: Running, service: str = "") -> Stream:
    method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes]
    method = running.channel.unary_stream(WATCH)
    return method(health_pb2.HealthCheckRequest(service=service).SerializeToString())


def reflection_stream(running: Running) -> Stream:
    method: grpc.aio.StreamStreamMultiCallable[bytes, bytes]
    method = running.channel.stream_stream(REFLECTION)
    return method()


async def drain(running: Running, grace: timedelta = timedelta(minutes=10)) -> None:
    """Far within its grace, unless that is less."""
    async with asyncio.timeout(20):
        await running.gateway.drain(grace)


async def status(stream: Stream) -> int:
    async with asyncio.timeout(20):
        data = await stream.read()
    assert isinstance(data, bytes)
    return health_pb2.HealthCheckResponse.FromString(data).status


async def test_a_health_watch_is_told_of_the_end_and_ends(running: Running) -> None:
    watch = health_watch(running, "acme.v1.Images")
    assert await status(watch) == health_pb2.HealthCheckResponse.SERVING
    ending = asyncio.create_task(drain(running))
    assert await status(watch) == health_pb2.HealthCheckResponse.NOT_SERVING
    await ending
    refused = await refusal(watch.read())
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")


async def test_a_health_watch_of_an_unknown_service_is_told_so_and_ends(running: Running) -> None:
    watch = health_watch(running, "no.Such")
    assert await status(watch) == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    await drain(running)
    assert (await refusal(watch.read())).reason == "SERVER_DRAINING"


async def test_health_of_an_unknown_service_is_not_found(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    check: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    check = running.channel.unary_unary("/grpc.health.v1.Health/Check")
    request = health_pb2.HealthCheckRequest(service="no.Such").SerializeToString()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await check(request)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert "taskwire-call-id" in dict(refused.value.trailing_metadata())
    assert not [found for found in caplog.records if found.levelno >= logging.ERROR]


async def test_an_idle_reflection_stream_is_told_of_the_drain(running: Running) -> None:
    stream = reflection_stream(running)
    await eventually_async(lambda: running.gateway._admission.open(Kind.TOOLS))
    await drain(running)
    assert (await refusal(stream.read())).reason == "SERVER_DRAINING"


@pytest.mark.parametrize("begin", [health_watch, reflection_stream])
async def test_health_watches_and_reflection_have_a_limit_of_their_own(
    running: Running, begin: Callable[[Running], Stream]
) -> None:
    limits = running.gateway._admission._limits
    limits[Kind.WATCH] = 0
    stream = begin(running)
    await eventually_async(lambda: running.gateway._admission.open(Kind.TOOLS))
    stream.cancel()
    limits[Kind.TOOLS] = 0
    assert (await refusal(begin(running).read())).reason == "OVERLOADED"


async def test_a_health_watcher_that_reads_nothing_keeps_nobody_from_learning_of_the_end(
    running: Running,
) -> None:
    port = int(running.address.rpartition(":")[2])
    request = raw.greeting(window=0) + raw.call(WATCH, raw.message(b""))
    with await asyncio.to_thread(raw.sent, port, request) as connection:
        await asyncio.to_thread(raw.begun, connection)
        watch = health_watch(running)
        assert await status(watch) == health_pb2.HealthCheckResponse.SERVING
        ending = asyncio.create_task(drain(running, timedelta(0)))
        assert await status(watch) == health_pb2.HealthCheckResponse.NOT_SERVING
        await ending


async def test_a_server_that_stops_at_once_cancels_no_task_for_its_caller(
    running: Running, worker: Worker
) -> None:
    call = running.durable(
        running.shrink().SerializeToString(), ("taskwire-cancel-on-disconnect", "true")
    )
    task_id = await call.begun()
    await running.gateway.abandon()
    with pytest.raises(grpc.aio.AioRpcError):
        await call
    assert (await worker.claim(task_id)).state is State.RUNNING
