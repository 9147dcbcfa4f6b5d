"""Mail by SMTP: a handler whose work is done by a server that may be away, busy or unwilling."""

from __future__ import annotations

import contextlib
import email.policy
import hashlib
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from taskwire import TaskContext, errors, task
from taskwire.examples.v1.email_tasks_pb2 import (
    RefusedRecipient,
    SendEmailRequest,
    SendEmailResponse,
)
from taskwire_examples.smtp_refusals import refusal, reply_text
from taskwire_examples.smtp_server import SmtpServer, smtp_server

_ANSWER_WITHIN_S = 30.0
"""The longest silence of the server, for each of its answers."""

# Seven bits pass every server, whatever it announces.
_POLICY = email.policy.SMTP.clone(cte_type="7bit")

_Refused = dict[str, tuple[int, bytes]]


@task("taskwire.examples.v1.EmailTasks/SendEmail")
def send_email(request: SendEmailRequest, context: TaskContext) -> SendEmailResponse:
    """The mail's id, and who gets it; the same id in every attempt of a task."""
    server = smtp_server()
    recipients = list(dict.fromkeys([*request.to, *request.cc]))
    try:
        mail = compose(request, server.sender, message_id(context, server))
    except ValueError as error:
        raise errors.InvalidArgument(
            "A header of the mail would become several ones.", reason="MAIL_MALFORMED"
        ) from error
    # What is in the server's hands cannot be called back.
    context.raise_if_cancelled()
    context.progress(message=f"handing over to {server.name}")
    refused = _hand_over(mail, server, recipients, _patience_s(context))
    return SendEmailResponse(
        message_id=mail["Message-ID"],
        accepted=[address for address in recipients if address not in refused],
        refused=[
            RefusedRecipient(address=address, code=code, message=reply_text(reply))
            for address, (code, reply) in refused.items()
        ],
    )


def message_id(context: TaskContext, server: SmtpServer) -> str:
    """What a repeat of the mail is recognised by: it depends on the task and on the sender."""
    # Recipients need not know the task's id.
    token = hashlib.sha256(context.idempotency_token.encode()).hexdigest()[:32]
    return f"<{token}@{server.sender_address.rpartition('@')[2]}>"


def compose(request: SendEmailRequest, sender: str, id: str) -> EmailMessage:
    """The mail with its headers, texts and files.

    Raises:
        ValueError: a header would become several ones. The contract's rules let none through.
    """
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = sender
    mail["To"] = ", ".join(request.to)
    if request.cc:
        mail["Cc"] = ", ".join(request.cc)
    if request.reply_to:
        mail["Reply-To"] = request.reply_to
    mail["Subject"] = request.subject
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = id
    mail.set_content(request.text)
    if request.html:
        mail.add_alternative(request.html, subtype="html")
    for each in request.attachments:
        main, _, sub = (each.content_type or "application/octet-stream").partition("/")
        mail.add_attachment(each.content, maintype=main, subtype=sub, filename=each.name)
    _refuse_line_breaks(mail)
    return mail


def _refuse_line_breaks(mail: EmailMessage) -> None:
    # Encoded words are decoded on their way into a header, and Python before 3.11.10 and 3.12.5
    # writes the line breaks that were in them (CVE-2024-6923).
    values = [str(value) for part in mail.walk() for value in part.values()]
    if any("\n" in value or "\r" in value for value in values):
        raise ValueError("a header of the mail has a linefeed or a carriage return")


def _hand_over(
    mail: EmailMessage, server: SmtpServer, recipients: list[str], patience_s: float
) -> _Refused:
    """Who was refused, with the server's answer, while others were not."""
    try:
        with contextlib.closing(server.connect(patience_s)) as connection:
            refused = connection.send_message(mail, server.sender_address, recipients)
            # The mail is the server's by now: that it does not say goodbye must not send it again.
            with contextlib.suppress(OSError):
                connection.quit()
            return refused
    except OSError as error:
        raise refusal(error, server.name) from error


def _patience_s(context: TaskContext) -> float:
    left = context.time_remaining
    if left is None:
        return _ANSWER_WITHIN_S
    return min(_ANSWER_WITHIN_S, max(1.0, left.total_seconds()))
