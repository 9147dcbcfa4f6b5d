"""The whole: contract, handlers and a server, called as the shop would call them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import timedelta

import grpc
import pytest

from acme.orders.v1 import order_tasks_pb2 as pb
from acme.orders.v1.order_tasks_pb2_grpc import OrderTasksStub
from conftest import PROJECT, Server
from taskwire.client import CallFailed, Client, service_config
from taskwire.v1 import task_pb2

CHARGE = "acme.orders.v1.OrderTasks/ChargeCard"
ORDER = pb.RenderInvoiceRequest(
    order_id="AB-17",
    customer="Ada Lovelace",
    lines=[pb.OrderLine(article="Tea", quantity=2, unit_cents=450)],
)


def payment(card_token: str) -> pb.ChargeCardRequest:
    return pb.ChargeCardRequest(order_id="AB-17", card_token=card_token, cents=900)


def test_an_ordinary_stub_charges_a_card_once_for_a_request_id(server: Server) -> None:
    options = [("grpc.service_config", service_config())]
    with grpc.insecure_channel(server.address, options=options) as channel:
        stub = OrderTasksStub(channel)
        metadata = [("taskwire-request-id", "charge-AB-17")]
        first = stub.ChargeCard(payment("tok_visa"), metadata=metadata, timeout=60)
        again = stub.ChargeCard(payment("tok_visa"), metadata=metadata, timeout=60)
    assert first == again
    assert len(server.books.read_text().splitlines()) == 1


def test_a_declined_card_reaches_the_caller_with_its_reason(client: Client) -> None:
    with pytest.raises(CallFailed) as declined:
        client.call(CHARGE, payment("tok_empty"), pb.ChargeCardResponse)
    assert declined.value.code == grpc.StatusCode.FAILED_PRECONDITION
    assert declined.value.reason == "CARD_DECLINED"


def test_a_card_is_never_charged_again_when_the_server_dies_while_it_is(
    client: Client, server: Server
) -> None:
    task = client.submit(payment("tok_slow")).task
    wait_until(server.books.exists)

    server.kill()
    server.start()

    ended = client.wait(task.id, 60)
    assert ended.state == task_pb2.TASK_STATE_FAILED
    assert ended.error.kind == task_pb2.TaskError.KIND_WORKER_LOST
    assert len(server.books.read_text().splitlines()) == 1


def test_an_invoice_waits_for_its_template_and_a_watch_shows_it(
    client: Client, server: Server
) -> None:
    task = client.submit(ORDER).task
    states = []
    for event in client.watch(task.id):
        if event.WhichOneof("kind") != "task":
            continue
        task = event.task
        states.append(task.state)
        if task.state == task_pb2.TASK_STATE_RETRYING and not server.templates.exists():
            shutil.copytree(PROJECT / "templates", server.templates)

    assert task_pb2.TASK_STATE_RETRYING in states
    assert states[-1] == task_pb2.TASK_STATE_SUCCEEDED
    invoice = pb.RenderInvoiceResponse()
    assert task.result.Unpack(invoice)
    assert invoice.total_cents == 900
    assert b"Total: 9.00" in invoice.html


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.RenderInvoiceRequest(order_id="17", customer="Ada", lines=ORDER.lines), "order_id"),
        (pb.RenderInvoiceRequest(order_id="AB-17", customer="Ada"), "lines"),
        (payment("4111 1111 1111 1111"), "card_token"),
    ],
)
def test_a_request_that_breaks_a_rule_is_no_task(
    client: Client, request_: pb.RenderInvoiceRequest | pb.ChargeCardRequest, field: str
) -> None:
    with pytest.raises(CallFailed) as refused:
        client.submit(request_, delay=timedelta(hours=1))
    assert refused.value.reason == "FIELD_VIOLATION"
    assert f"input.{field}: " in str(refused.value)


def wait_until(condition: Callable[[], bool]) -> None:
    """Until `condition()` is true."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
