"""What the shop's web server would do: charge a card and wait, then have the invoice written.

python -m acme_orders.checkout AB-17 tok_visa
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import grpc

from acme.orders.v1 import order_tasks_pb2 as pb
from acme.orders.v1.order_tasks_pb2_grpc import OrderTasksStub
from taskwire.client import Client, service_config

ADDRESS = os.environ.get("TASKWIRE_LISTEN", "127.0.0.1:50051")
LINES = [pb.OrderLine(article="Tea & biscuits", quantity=2, unit_cents=450)]


def charge(order_id: str, card_token: str, cents: int) -> str:
    """The payment's id, by an ordinary stub.

    The order and its card are the request id: whoever asks again gets the same payment, and
    another card than one that was declined is another request.
    """
    options = [("grpc.service_config", service_config())]
    request = pb.ChargeCardRequest(order_id=order_id, card_token=card_token, cents=cents)
    with grpc.insecure_channel(ADDRESS, options=options) as channel:
        metadata = [("taskwire-request-id", f"charge-{order_id}-{card_token}")]
        stub = OrderTasksStub(channel)
        answer: pb.ChargeCardResponse = stub.ChargeCard(request, metadata=metadata, timeout=60)
        return answer.payment_id


def invoice(order_id: str, customer: str) -> pb.RenderInvoiceResponse:
    """The invoice, by submitting its task and watching it."""
    request = pb.RenderInvoiceRequest(order_id=order_id, customer=customer, lines=LINES)
    with Client(ADDRESS) as client:
        task = client.submit(request, request_id=f"invoice-{order_id}").task
        for event in client.watch(task.id):
            if event.WhichOneof("kind") == "task":
                task = event.task
        response = pb.RenderInvoiceResponse()
        if not task.result.Unpack(response):
            raise SystemExit(task.error.status.message)
        return response


def main() -> None:
    """Pay for an order, then write its invoice."""
    order_id, card_token = sys.argv[1:]
    cents = sum(line.quantity * line.unit_cents for line in LINES)
    try:
        print("paid:", charge(order_id, card_token, cents))
    except grpc.RpcError as error:
        raise SystemExit(f"not paid: {error.details()} ({error.code().name})") from None
    file = Path(f"{order_id}.html")
    file.write_bytes(invoice(order_id, "Ada Lovelace").html)
    print(json.dumps({"invoice": file.name}))


if __name__ == "__main__":
    main()
