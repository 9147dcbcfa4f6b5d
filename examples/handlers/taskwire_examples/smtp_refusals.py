"""What an SMTP server's answers mean to a task: worth another attempt, or whose mistake it is.

A server's answers of 4xx are "not now" and those of 5xx "never" (RFC 5321, 4.2.1). Who has to do
something about a "never" follows from the command that was refused.
"""

from __future__ import annotations

import smtplib
import ssl

from taskwire import errors

_PERMANENT = 500
_TOO_LARGE = 552
_LONGEST_REPLY = 300


def refusal(error: OSError, server: str) -> errors.HandlerError:
    """The task's error for what smtplib or the socket raised; `server` is its name for people."""
    told = {"server": server}
    match error:
        case smtplib.SMTPRecipientsRefused():
            return _recipients_refused(error, told)
        case smtplib.SMTPResponseException():
            return _command_refused(error, told)
        case smtplib.SMTPServerDisconnected():
            return _unreachable(server)
        case smtplib.SMTPException():
            # No STARTTLS, or no way to log in.
            return errors.FailedPrecondition(
                f"The SMTP server {server} cannot do what SMTP_URL asks of it: correct the URL.",
                reason="SMTP_NOT_SUPPORTED",
                metadata=told,
            )
        case ssl.SSLCertVerificationError():
            return errors.FailedPrecondition(
                f"The certificate of the SMTP server {server} is not one that the worker trusts.",
                reason="SMTP_CERTIFICATE_UNTRUSTED",
                metadata=told,
            )
    return _unreachable(server)


def reply_text(reply: bytes | str) -> str:
    """What the server said, in one line that is not too long."""
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    return " ".join(text.split())[:_LONGEST_REPLY]


def _recipients_refused(
    error: smtplib.SMTPRecipientsRefused, told: dict[str, str]
) -> errors.HandlerError:
    answers: dict[str, tuple[int, bytes]] = error.recipients
    code, reply = min(answers.values())
    told = {**told, "code": str(code), "reply": reply_text(reply), "recipients": str(len(answers))}
    # One "not now" is enough: that recipient may be taken later.
    if code < _PERMANENT:
        return _busy(told)
    return errors.InvalidArgument(
        "The SMTP server refused every recipient for good.",
        reason="RECIPIENTS_REFUSED",
        metadata=told,
    )


def _command_refused(
    error: smtplib.SMTPResponseException, told: dict[str, str]
) -> errors.HandlerError:
    code = error.smtp_code
    told = {**told, "code": str(code), "reply": reply_text(error.smtp_error)}
    if code < _PERMANENT:
        return _busy(told)
    if code == _TOO_LARGE:
        return errors.InvalidArgument(
            "The mail is larger than the SMTP server takes: send less.",
            reason="MAIL_TOO_LARGE",
            metadata=told,
        )
    match error:
        case smtplib.SMTPAuthenticationError():
            return errors.FailedPrecondition(
                "The SMTP server refused the user and the password of SMTP_URL: correct them.",
                reason="SMTP_LOGIN_REFUSED",
                metadata=told,
            )
        case smtplib.SMTPSenderRefused():
            return errors.FailedPrecondition(
                "The SMTP server refused the sender: set SMTP_FROM to one that it takes.",
                reason="SMTP_SENDER_REFUSED",
                metadata=told,
            )
        case smtplib.SMTPDataError():
            return errors.InvalidArgument(
                "The SMTP server refused the mail for good.", reason="MAIL_REFUSED", metadata=told
            )
    return errors.FailedPrecondition(
        "The SMTP server serves no mail to this worker.", reason="SMTP_REFUSED", metadata=told
    )


def _busy(told: dict[str, str]) -> errors.Unavailable:
    return errors.Unavailable(
        "The SMTP server does not take the mail now.", reason="SMTP_BUSY", metadata=told
    )


def _unreachable(server: str) -> errors.Unavailable:
    return errors.Unavailable(
        f"The SMTP server {server} does not answer.",
        reason="SMTP_UNREACHABLE",
        metadata={"server": server},
    )
