"""The admin port's HTTP: its answers, and what it does to those who mean it no good."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest

from taskwire_admin import http_port
from taskwire_admin.http_port import MAX_CONNECTIONS, HttpPort, Page
from tests.support.eventually import eventually


def broken() -> Page:
    raise RuntimeError("password=hunter2")


@pytest.fixture
def port() -> Iterator[HttpPort]:
    made = HttpPort(
        "127.0.0.1", 0, {"/page": lambda: Page("hello\n", "text/plain"), "/broken": broken}
    )
    yield made
    made.close()


def ask(
    port: HttpPort, path: str, method: str = "GET", **headers: str
) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port.port, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


def raw(port: HttpPort, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port.port), timeout=10) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_page_is_answered_with_fixed_headers(port: HttpPort) -> None:
    answer, body = ask(port, "/page?x=1")
    assert (answer.status, body) == (200, "hello\n")
    assert answer.getheader("Cache-Control") == "no-store"
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert answer.getheader("Server", "").strip() == "taskwire"


def test_head_is_a_get_without_its_body(port: HttpPort) -> None:
    answer, body = ask(port, "/page", "HEAD")
    assert (answer.status, body, answer.getheader("Content-Length")) == (200, "", "6")


@pytest.mark.parametrize("path", ["/", "/page/", "/../page", "/-/nothing", "/PAGE"])
def test_another_path_is_not_found_and_lists_what_there_is(port: HttpPort, path: str) -> None:
    answer, body = ask(port, path)
    assert answer.status == 404
    assert body == "There is nothing here; see: /page /broken\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_another_method_is_not_allowed(port: HttpPort, method: str) -> None:
    answer, _ = ask(port, "/page", method)
    assert (answer.status, answer.getheader("Allow")) == (405, "GET, HEAD")


def test_a_page_that_fails_says_so_and_no_more(port: HttpPort) -> None:
    answer, body = ask(port, "/broken")
    assert (answer.status, body) == (500, "This page failed; see the log.\n")


@pytest.mark.parametrize("host", ["evil.example:50080", "evil.example", "127.0.0.1.evil.example"])
def test_a_browser_is_not_led_here_by_another_name(port: HttpPort, host: str) -> None:
    assert ask(port, "/page", Host=host)[0].status == 421


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1:1", "[::1]:1", "localhost", "10.0.0.1"])
def test_this_machine_s_names_are_served(port: HttpPort, host: str) -> None:
    assert ask(port, "/page", Host=host)[0].status == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (b"GET /page HTTP/1.0\n\n", 200),
        (b"rubbish\r\n\r\n", 400),
        (b"GET /page HTTP/9.9.9\r\n\r\n", 400),
        (b"GET /page HTTP/2.0\r\n\r\n", 505),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /page HTTP/1.1\r\n" + b"X: y\r\n" * 2000 + b"\r\n", 431),
        (b"GET /page HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
    ],
)
def test_a_strange_request_is_refused_in_a_word(
    port: HttpPort, request_: bytes, status: int
) -> None:
    answer = raw(port, request_)
    assert answer.split(b"\r\n")[0].split()[1] == str(status).encode()
    assert b"aaaa" not in answer
    assert ask(port, "/page")[0].status == 200


def test_a_head_that_comes_drop_by_drop_is_not_waited_for(
    port: HttpPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_port, "HEAD_TIMEOUT_S", 0.2)
    with socket.create_connection(("127.0.0.1", port.port), timeout=10) as slow:
        slow.sendall(b"GET /page HT")
        assert slow.recv(1) == b""


def test_too_many_connections_are_closed_and_the_places_come_back(
    port: HttpPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [socket.create_connection(("127.0.0.1", port.port), 10) for _ in range(MAX_CONNECTIONS)]
    with socket.create_connection(("127.0.0.1", port.port), timeout=10) as refused:
        # None of the others has sent anything; this one is closed without a word.
        assert refused.recv(1) == b""
    for each in held:
        each.close()

    def served() -> bool:
        try:
            return ask(port, "/page")[0].status == 200
        except (ConnectionError, http.client.HTTPException):
            return False

    eventually(served)


def test_a_closed_port_is_free_again() -> None:
    made = HttpPort("127.0.0.1", 0, {})
    number = made.port
    made.close()
    again = HttpPort("127.0.0.1", number, {})
    again.close()


def test_an_ipv6_address_is_served() -> None:
    made = HttpPort("::1", 0, {"/page": lambda: Page("hello", "text/plain")})
    try:
        with socket.create_connection(("::1", made.port), timeout=10) as connection:
            connection.sendall(b"GET /page HTTP/1.0\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.0 200")
    finally:
        made.close()
