"""Mail as a task: checked at the edge, retried when it may help, recognised when it comes twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import grpc
import pytest

from taskwire.client import CallFailed, Client
from taskwire.examples.v1 import email_tasks_pb2 as pb
from taskwire.v1 import options_pb2, task_pb2
from tests.support.embedded import EmbeddedServer
from tests.support.eventually import eventually
from tests.support.smtp import SmtpServer

SEND = "taskwire.examples.v1.EmailTasks/SendEmail"


class MailingServer(EmbeddedServer):
    """A `taskwire dev` whose worker knows an SMTP server."""

    def __init__(self, smtp: SmtpServer) -> None:
        super().__init__()
        self._smtp = smtp

    @property
    def environment(self) -> dict[str, str]:
        """What the server is started with."""
        smtp = {"SMTP_URL": self._smtp.url, "SMTP_FROM": "shop@example.com"}
        return {**super().environment, **smtp}


@pytest.fixture
def own_smtp() -> Iterator[SmtpServer]:
    """An SMTP server that this test starts and kills."""
    server = SmtpServer()
    yield server
    server.close()


@pytest.fixture
def mailing(own_smtp: SmtpServer) -> Iterator[MailingServer]:
    """A `taskwire dev` of this test's own that mails by `own_smtp`."""
    server = MailingServer(own_smtp)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def client(mailing: MailingServer) -> Iterator[Client]:
    with Client(mailing.address) as connected:
        yield connected


def mail_to(*to: str, **fields: object) -> pb.SendEmailRequest:
    values = {"to": to, "subject": "Your order", "text": "It is on its way.", **fields}
    return pb.SendEmailRequest(**values)  # type: ignore[arg-type]  # fields of any type


def submitted(client: Client, request: pb.SendEmailRequest) -> str:
    """The id of a task that is retried soon."""
    overrides = options_pb2.TaskOverrides()
    overrides.retry.initial_backoff.FromTimedelta(timedelta(milliseconds=50))
    overrides.retry.max_backoff.FromTimedelta(timedelta(milliseconds=200))
    overrides.retry.max_attempts = 1000
    return client.submit(request, overrides=overrides).task.id


def result(task: task_pb2.Task) -> pb.SendEmailResponse:
    assert task.state == task_pb2.TASK_STATE_SUCCEEDED, task
    response = pb.SendEmailResponse()
    assert task.result.Unpack(response)
    return response


def state(client: Client, id: str) -> str:
    return task_pb2.TaskState.Name(client.get(id).state).removeprefix("TASK_STATE_")


def test_a_mail_waits_for_a_server_that_is_away_and_for_one_that_is_busy(
    client: Client, own_smtp: SmtpServer
) -> None:
    task = submitted(client, mail_to("later-once@example.com", "never@example.com"))
    eventually(lambda: state(client, task) == "RETRYING", what="nobody answers")
    assert "SMTP_UNREACHABLE" in str(client.get(task).attempts[0].error)

    own_smtp.start()
    ended = client.wait(task, 30)

    response = result(ended)
    assert list(response.accepted) == ["later-once@example.com"]
    assert [each.address for each in response.refused] == ["never@example.com"]
    assert ended.attempt >= 3
    (mail,) = own_smtp.mails
    assert mail.message["Message-ID"] == response.message_id


def test_a_mail_that_was_taken_when_the_worker_was_killed_comes_again_under_the_same_id(
    client: Client, own_smtp: SmtpServer, mailing: MailingServer
) -> None:
    own_smtp.start()
    task = submitted(client, mail_to("held@example.com"))
    eventually(lambda: len(own_smtp.mails) == 1, what="the server has the mail")

    mailing.kill()
    own_smtp.let_go()
    mailing.start()

    response = result(client.wait(task, 60))
    assert [mail.message["Message-ID"] for mail in own_smtp.mails] == [response.message_id] * 2


def test_a_mail_that_is_refused_for_good_fails_at_once(
    client: Client, own_smtp: SmtpServer
) -> None:
    own_smtp.start()
    with pytest.raises(CallFailed) as failed:
        client.call(SEND, mail_to("never@example.com"), pb.SendEmailResponse)
    assert failed.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert failed.value.reason == "RECIPIENTS_REFUSED"
    assert not own_smtp.mails


def test_a_worker_without_a_mail_server_says_what_to_set(embedded: EmbeddedServer) -> None:
    with Client(embedded.address) as client, pytest.raises(CallFailed) as failed:
        client.call(SEND, mail_to("ada@example.com"), pb.SendEmailResponse)
    assert failed.value.code == grpc.StatusCode.FAILED_PRECONDITION
    assert failed.value.reason == "SMTP_NOT_CONFIGURED"
    assert "SMTP_URL is not set; set it to smtp://" in str(failed.value)


_FILE = pb.EmailAttachment(name="a.pdf", content=b"x")


@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        ({"to": []}, "to", "must contain at least 1 item(s)"),
        ({"to": ["ada"]}, "to[0]", "must be a valid email address"),
        ({"to": ["ada@example.com\n"]}, "to[0]", "must be a valid email address"),
        ({"to": ["a@b.de", "a@b.de"]}, "to", "repeated value must contain unique items"),
        ({"to": [f"a{n}@b.de" for n in range(51)]}, "to", "must contain no more than 50 item(s)"),
        ({"cc": ["a@b.de\r\nBcc: c@d.de"]}, "cc[0]", "must be a valid email address"),
        ({"reply_to": "nobody"}, "reply_to", "must be a valid email address"),
        ({"subject": ""}, "subject", "must be at least 1 characters"),
        ({"subject": "a\r\nBcc: c@d.de"}, "subject", "must be one line without control characters"),
        ({"subject": "a\n"}, "subject", "must be one line without control characters"),
        ({"subject": "a\u2028b"}, "subject", "must be one line without control characters"),
        (
            {"subject": "=?utf-8?q?a=0D=0ABcc:_c@d.de?="},
            "subject",
            "must be plain text: encoded words, such as =?utf-8?q?…?=, are made by the handler",
        ),
        ({"to": ["=?utf-8?q?a=0D=0A?=@b.de"]}, "to[0]", "contains substring `=?`"),
        ({"cc": ["=?utf-8?q?a=0D=0A?=@b.de"]}, "cc[0]", "contains substring `=?`"),
        ({"reply_to": "=?utf-8?q?a=0D=0A?=@b.de"}, "reply_to", "contains substring `=?`"),
        (
            {"attachments": [pb.EmailAttachment(name="=?utf-8?b?DQo=?=.pdf")]},
            "attachments[0].name",
            "must be plain text: encoded words, such as =?utf-8?q?…?=, are made by the handler",
        ),
        ({"text": ""}, "text", "must be at least 1 characters"),
        ({"attachments": [_FILE] * 21}, "attachments", "must contain no more than 20 item(s)"),
        (
            {"attachments": [pb.EmailAttachment(name="../a.pdf")]},
            "attachments[0].name",
            "must be the name of a file, without a folder or control characters",
        ),
        (
            {"attachments": [pb.EmailAttachment(name="a", content_type="text/html; charset=x")]},
            "attachments[0].content_type",
            "must be a media type without parameters, such as application/pdf",
        ),
        (
            {"attachments": [pb.EmailAttachment(name="a", content_type="Message/rfc822")]},
            "attachments[0].content_type",
            "must be neither message/… nor multipart/…",
        ),
    ],
)
def test_a_mail_that_breaks_a_rule_is_no_task(
    embedded: EmbeddedServer, fields: dict[str, object], field: str, sentence: str
) -> None:
    request = mail_to(**{"to": ["ada@example.com"], **fields})
    with Client(embedded.address) as client, pytest.raises(CallFailed) as failed:
        client.submit(request)
    assert failed.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert failed.value.reason == "FIELD_VIOLATION"
    assert f"input.{field}: {sentence}" in str(failed.value)
