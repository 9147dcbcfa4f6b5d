"""The handlers, called as functions: no server."""

from __future__ import annotations

from pathlib import Path

import pytest

from acme.orders.v1.order_tasks_pb2 import ChargeCardRequest, OrderLine, RenderInvoiceRequest
from acme_orders.handlers import CardDeclined, charge_card, render_invoice
from taskwire import TaskContext, errors

ORDER = RenderInvoiceRequest(
    order_id="AB-17",
    customer="Ada <ada@example.com>",
    lines=[
        OrderLine(article="Tea & biscuits", quantity=2, unit_cents=450),
        OrderLine(article="Kettle", quantity=1, unit_cents=123_456),
    ],
)


def test_an_invoice_has_every_line_and_its_total() -> None:
    context = TaskContext.for_test()

    response = render_invoice(ORDER, context)

    page = response.html.decode()
    assert response.total_cents == 124_356
    assert "<td>2</td><td>Tea &amp; biscuits</td><td>4.50</td>" in page
    assert "Total: 1,243.56" in page
    assert "Ada &lt;ada@example.com&gt;" in page
    assert [report.message for report in context.progress_reports] == ["Tea & biscuits", "Kettle"]


def test_an_invoice_without_its_template_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERS_TEMPLATES", str(tmp_path / "away"))

    with pytest.raises(errors.Unavailable) as failed:
        render_invoice(ORDER, TaskContext.for_test())

    assert failed.value.retryable


def charge(card_token: str, id: str = "0191e3a4-0000-7000-8000-000000000001") -> str:
    request = ChargeCardRequest(order_id="AB-17", card_token=card_token, cents=900)
    return charge_card(request, TaskContext.for_test(id=id)).payment_id


def test_a_payment_belongs_to_its_task() -> None:
    other = "0191e3a4-0000-7000-8000-000000000002"
    assert charge("tok_visa") == charge("tok_visa")
    assert charge("tok_visa") != charge("tok_visa", other)


def test_a_declined_card_says_why_and_is_final() -> None:
    with pytest.raises(CardDeclined) as declined:
        charge("tok_empty")

    assert declined.value.metadata == {"bank_code": "insufficient_funds"}
    assert not declined.value.retryable


def test_a_bank_that_is_away_is_told_apart_from_one_that_declines() -> None:
    with pytest.raises(errors.Unavailable) as failed:
        charge("tok_down")

    assert failed.value.reason == "BANK_UNAVAILABLE"
