"""The mail example, called directly, beside a real SMTP server in a process of its own."""

from __future__ import annotations

import smtplib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from taskwire import TaskContext, errors
from taskwire.examples.v1.email_tasks_pb2 import (
    EmailAttachment,
    SendEmailRequest,
    SendEmailResponse,
)
from taskwire_examples import send_email
from taskwire_examples.smtp_refusals import refusal
from tests.support.processes import free_ports
from tests.support.smtp import Mail, SmtpServer

SENDER = "Shop <shop@example.com>"


@pytest.fixture(autouse=True)
def configured(smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", smtp.url)
    monkeypatch.setenv("SMTP_FROM", SENDER)


def mail_to(*to: str, **fields: object) -> SendEmailRequest:
    values = {"to": to, "subject": "Your order", "text": "It is on its way.\n", **fields}
    return SendEmailRequest(**values)  # type: ignore[arg-type]  # fields of any type


def sent(request: SendEmailRequest, id: str = "", attempt: int = 1) -> SendEmailResponse:
    context = TaskContext.for_test(id=id or str(uuid.uuid4()), attempt=attempt)
    return send_email(request, context)


def taken(server: SmtpServer, response: SendEmailResponse) -> Mail:
    (mail,) = [each for each in server.mails if each.message["Message-ID"] == response.message_id]
    return mail


def refused(request: SendEmailRequest) -> errors.HandlerError:
    with pytest.raises(errors.HandlerError) as found:
        sent(request)
    return found.value


def test_a_mail_arrives_with_its_texts_and_its_recipients(smtp: SmtpServer) -> None:
    request = mail_to(
        "ada@example.com",
        cc=["bob@example.com", "ada@example.com"],
        subject="Grüße aus dem Laden 🎉 " + "und noch ein Wort " * 10,
        text="Zwei Zeilen,\n.\nund eine mit Punkt.\n" + "lang " * 400,
        html="<p>Grüße</p>",
        reply_to="help@example.com",
    )

    response = sent(request)

    assert list(response.accepted) == ["ada@example.com", "bob@example.com"]
    assert not response.refused
    mail = taken(smtp, response)
    assert (mail.sender, mail.recipients) == ("shop@example.com", list(response.accepted))
    message = mail.message
    assert message["From"] == SENDER
    assert message["To"] == "ada@example.com"
    assert message["Cc"] == "bob@example.com, ada@example.com"
    assert message["Reply-To"] == "help@example.com"
    assert message["Subject"] == request.subject
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().replace("\r\n", "\n").rstrip() == request.text.rstrip()
    assert html.get_content().strip() == "<p>Grüße</p>"


def test_files_arrive_byte_by_byte_with_name_and_type(smtp: SmtpServer) -> None:
    every_byte = bytes(range(256)) * 20
    request = mail_to(
        "ada@example.com",
        attachments=[
            EmailAttachment(name="Rechnung für Ada.pdf", content_type="application/pdf"),
            EmailAttachment(name='a "quoted" name', content=every_byte),
            EmailAttachment(name="x.csv", content_type="text/csv", content=b"a,b\r\n1,\xff\n"),
        ],
    )

    message = taken(smtp, sent(request)).message

    files = list(message.iter_attachments())
    assert [file.get_filename() for file in files] == [
        "Rechnung für Ada.pdf",
        'a "quoted" name',
        "x.csv",
    ]
    assert [file.get_content_type() for file in files] == [
        "application/pdf",
        "application/octet-stream",
        "text/csv",
    ]
    assert [file.get_payload(decode=True) for file in files] == [
        b"",
        every_byte,
        b"a,b\r\n1,\xff\n",
    ]


def test_every_attempt_of_a_task_sends_the_same_message_id(smtp: SmtpServer) -> None:
    task, other = str(uuid.uuid4()), str(uuid.uuid4())

    first = sent(mail_to("ada@example.com"), task, attempt=1)
    again = sent(mail_to("ada@example.com"), task, attempt=2)

    assert first.message_id == again.message_id
    assert first.message_id.endswith("@example.com>")
    assert task not in first.message_id
    assert sent(mail_to("ada@example.com"), other).message_id != first.message_id


def test_a_mail_that_some_recipients_refuse_is_sent_to_the_others(smtp: SmtpServer) -> None:
    response = sent(mail_to("never@example.com", "ada@example.com", cc=["later@example.com"]))

    assert list(response.accepted) == ["ada@example.com"]
    assert [(each.address, each.code, each.message) for each in response.refused] == [
        ("never@example.com", 550, "5.1.1 no such mailbox"),
        ("later@example.com", 451, "4.7.1 greylisted, come back"),
    ]
    assert taken(smtp, response).recipients == ["ada@example.com"]


def test_recipients_that_are_all_refused_for_good_are_the_callers_mistake() -> None:
    error = refused(mail_to("never@example.com", "never@example.org"))

    assert isinstance(error, errors.InvalidArgument)
    assert not error.retryable
    assert error.reason == "RECIPIENTS_REFUSED"
    assert error.metadata["code"] == "550"
    assert error.metadata["reply"] == "5.1.1 no such mailbox"


def test_one_recipient_that_may_be_taken_later_is_worth_another_attempt() -> None:
    error = refused(mail_to("never@example.com", "later@example.com"))

    assert isinstance(error, errors.Unavailable)
    assert error.retryable
    assert (error.reason, error.metadata["code"]) == ("SMTP_BUSY", "451")


def test_a_mail_that_is_refused_itself_is_never_sent_again() -> None:
    error = refused(mail_to("data-never@example.com"))

    assert isinstance(error, errors.InvalidArgument)
    assert not error.retryable
    assert (error.reason, error.metadata["code"]) == ("MAIL_REFUSED", "554")


def test_a_mail_that_is_too_large_is_the_callers_mistake() -> None:
    error = refused(mail_to("ada@example.com", text="x" * 200_000))

    assert isinstance(error, errors.InvalidArgument)
    assert (error.reason, error.metadata["code"]) == ("MAIL_TOO_LARGE", "552")


def test_a_sender_that_is_refused_is_the_operators_mistake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SMTP_FROM", "forbidden@example.com")

    error = refused(mail_to("ada@example.com"))

    assert isinstance(error, errors.FailedPrecondition)
    assert (error.reason, error.metadata["code"]) == ("SMTP_SENDER_REFUSED", "553")


@pytest.mark.parametrize("scheme", ["smtp", "smtp+starttls", "smtps"])
def test_a_server_that_does_not_answer_is_worth_another_attempt(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("SMTP_URL", f"{scheme}://127.0.0.1:{port}")

    error = refused(mail_to("ada@example.com"))

    assert isinstance(error, errors.Unavailable)
    assert error.retryable
    assert error.reason == "SMTP_UNREACHABLE"
    assert error.metadata["server"] == f"127.0.0.1:{port}"


def test_a_task_that_was_cancelled_sends_nothing(smtp: SmtpServer) -> None:
    context = TaskContext.for_test(id=str(uuid.uuid4()))
    context.cancel()

    with pytest.raises(errors.Cancelled):
        send_email(mail_to("cancelled@example.com"), context)

    assert not [mail for mail in smtp.mails if "cancelled@example.com" in mail.recipients]


def test_a_mail_may_be_sent_in_the_last_moment_of_its_attempt(smtp: SmtpServer) -> None:
    context = TaskContext.for_test(id=str(uuid.uuid4()), time_remaining=timedelta(milliseconds=900))
    assert send_email(mail_to("ada@example.com"), context).accepted


@contextmanager
def encrypted(tls: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpServer]:
    server = SmtpServer(tls=tls, login=True)
    try:
        server.start()
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        yield server
    finally:
        server.close()


@pytest.mark.parametrize(("tls", "scheme"), [("smtps", "smtps"), ("starttls", "smtp+starttls")])
def test_an_encrypted_server_takes_the_mail_of_a_user_and_of_nobody_else(
    tls: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with encrypted(tls, monkeypatch) as server:
        place = f"127.0.0.1:{server.port}"
        monkeypatch.setenv("SMTP_URL", f"{scheme}://shop:p%40ss%3Aword@{place}")
        mail = taken(server, sent(mail_to("ada@example.com")))
        assert (mail.encrypted, mail.user) == (True, "shop")

        monkeypatch.setenv("SMTP_URL", f"{scheme}://shop:secret@{place}")
        error = refused(mail_to("ada@example.com"))
        assert isinstance(error, errors.FailedPrecondition)
        assert (error.reason, error.metadata["code"]) == ("SMTP_LOGIN_REFUSED", "535")
        assert "secret" not in f"{error.message} {error.metadata}"

        monkeypatch.delenv("SSL_CERT_FILE")
        error = refused(mail_to("ada@example.com"))
        assert isinstance(error, errors.FailedPrecondition)
        assert error.reason == "SMTP_CERTIFICATE_UNTRUSTED"


def test_a_server_without_starttls_gets_no_password_in_clear(
    smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_URL", f"smtp+starttls://shop:x@127.0.0.1:{smtp.port}")

    error = refused(mail_to("ada@example.com"))

    assert isinstance(error, errors.FailedPrecondition)
    assert error.reason == "SMTP_NOT_SUPPORTED"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SMTP_URL", ""),
        ("SMTP_URL", "mail.example.com"),
        ("SMTP_URL", "http://mail.example.com"),
        ("SMTP_URL", "smtp://"),
        ("SMTP_URL", "smtp://secret@mail.example.com:port"),
        ("SMTP_URL", "smtp://mail.example.com:25/secret"),
        ("SMTP_URL", "smtp://[secret"),
        ("SMTP_FROM", ""),
        ("SMTP_FROM", "shop"),
        ("SMTP_FROM", "shop@example.com\nBcc: secret@example.com"),
    ],
)
def test_a_setting_that_is_missing_or_wrong_says_what_to_set(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    error = refused(mail_to("ada@example.com"))

    assert isinstance(error, errors.FailedPrecondition)
    assert not error.retryable
    assert error.reason == "SMTP_NOT_CONFIGURED"
    assert error.metadata == {"variable": variable}
    assert error.message.startswith(f"{variable} is ")
    assert "secret" not in error.message


@pytest.mark.parametrize("field", ["subject", "reply_to", "to", "cc", "attachments"])
@pytest.mark.parametrize(
    "bad",
    ["a@example.com\r\nBcc: victim@example.com", "=?utf-8?q?a=0D=0ABcc:_victim@example.com?=@b.de"],
)
def test_no_header_can_be_smuggled_in_even_past_the_rules(field: str, bad: str) -> None:
    value: object = [bad] if field in ("to", "cc") else bad
    if field == "attachments":
        value = [EmailAttachment(name=bad)]
    request = mail_to(**{"to": ["ada@example.com"], field: value})

    error = refused(request)

    assert isinstance(error, errors.InvalidArgument)
    assert error.reason == "MAIL_MALFORMED"


@pytest.mark.parametrize(
    ("raised", "kind", "reason"),
    [
        (smtplib.SMTPConnectError(421, b"busy"), errors.Unavailable, "SMTP_BUSY"),
        (smtplib.SMTPConnectError(554, b"no"), errors.FailedPrecondition, "SMTP_REFUSED"),
        (smtplib.SMTPHeloError(550, b"no"), errors.FailedPrecondition, "SMTP_REFUSED"),
        (smtplib.SMTPAuthenticationError(454, b"later"), errors.Unavailable, "SMTP_BUSY"),
        (smtplib.SMTPSenderRefused(552, b"big", "a"), errors.InvalidArgument, "MAIL_TOO_LARGE"),
        (smtplib.SMTPServerDisconnected("gone"), errors.Unavailable, "SMTP_UNREACHABLE"),
        (TimeoutError(), errors.Unavailable, "SMTP_UNREACHABLE"),
    ],
)
def test_what_the_server_says_decides_whose_turn_it_is(
    raised: OSError, kind: type[errors.HandlerError], reason: str
) -> None:
    error = refusal(raised, "mail.example.com:25")

    assert type(error) is kind
    assert error.reason == reason
    assert error.message.endswith(".")
