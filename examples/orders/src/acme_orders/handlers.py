"""What the workers run: TASKWIRE_HANDLERS names this module."""

from __future__ import annotations

import html
import os
from pathlib import Path
from string import Template

from acme.orders.v1.order_tasks_pb2 import (
    ChargeCardRequest,
    ChargeCardResponse,
    OrderLine,
    RenderInvoiceRequest,
    RenderInvoiceResponse,
)
from acme_orders import bank
from taskwire import TaskContext, errors, task


class CardDeclined(errors.FailedPrecondition):
    """The bank declined the card: the customer has to give another one."""

    def __init__(self, bank_code: str) -> None:
        super().__init__(
            "The bank declined the card.",
            reason="CARD_DECLINED",
            metadata={"bank_code": bank_code},
        )


@task("acme.orders.v1.OrderTasks/RenderInvoice")
def render_invoice(request: RenderInvoiceRequest, context: TaskContext) -> RenderInvoiceResponse:
    """The invoice as a page, and its total."""
    template = _template()
    rows = []
    for number, line in enumerate(request.lines, 1):
        rows.append(_row(line))
        context.progress(completed=number, total=len(request.lines), message=line.article)
    total = sum(line.quantity * line.unit_cents for line in request.lines)
    page = template.safe_substitute(
        order=html.escape(request.order_id),
        customer=html.escape(request.customer),
        rows="\n".join(rows),
        total=_money(total),
    )
    return RenderInvoiceResponse(html=page.encode(), total_cents=total)


@task("acme.orders.v1.OrderTasks/ChargeCard")
def charge_card(request: ChargeCardRequest, context: TaskContext) -> ChargeCardResponse:
    """The payment, made once."""
    try:
        payment_id = bank.charge(request.card_token, request.cents, key=context.idempotency_token)
    except bank.Declined as declined:
        raise CardDeclined(declined.args[0]) from declined
    except ConnectionError as error:
        raise errors.Unavailable("The bank does not answer.", reason="BANK_UNAVAILABLE") from error
    context.logger.info("charged order=%s cents=%d", request.order_id, request.cents)
    return ChargeCardResponse(payment_id=payment_id)


def _template() -> Template:
    file = Path(os.environ.get("ORDERS_TEMPLATES", "templates")) / "invoice.html"
    try:
        return Template(file.read_text())
    except OSError as error:
        # Its folder may be on another machine, and come back: this is tried again.
        raise errors.Unavailable(
            "The template of the invoice cannot be read.", reason="TEMPLATE_UNAVAILABLE"
        ) from error


def _row(line: OrderLine) -> str:
    cells = [str(line.quantity), html.escape(line.article), _money(line.unit_cents)]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _money(cents: int) -> str:
    return f"{cents // 100:,}.{cents % 100:02}"
