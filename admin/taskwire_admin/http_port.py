"""A small HTTP server in a thread: fixed pages, few connections, no patience.

It has no authentication, so it listens on loopback unless it is told otherwise. One request a
connection, and its head must come whole, short and soon: nothing that connects can hold more
than one of a few threads, for some seconds.
"""

from __future__ import annotations

import io
import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn

log = logging.getLogger(__name__)

MAX_HEAD_BYTES = 8 * 1024
MAX_CONNECTIONS = 8
HEAD_TIMEOUT_S = 5.0
SEND_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    body: str
    content_type: str
    status: HTTPStatus = HTTPStatus.OK


Pages = Mapping[str, Callable[[], Page]]
"""What makes the page of each path."""


class HttpPort:
    """Serves `pages` until it is closed.

    Raises:
        OSError: the address cannot be had.
    """

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        self._server = _Server(host, port, pages)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="admin", daemon=True, args=(0.2,)
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens, also when it was told 0."""
        port: int = self._server.server_address[1]
        return port

    def close(self) -> None:
        """Stops listening; requests in progress are left to end."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Server(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.pages = pages
        self.local = is_loopback(host)
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__((host, port), _Handler)

    def process_request(self, request: object, client_address: object) -> None:
        """In a thread, while there is a place; otherwise not at all."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)  # type: ignore[arg-type]  # a socket, of this server
            return
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:
        """One connection."""
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A scraper that goes away in the middle is nothing to write about."""
        log.debug("a request to the admin port was broken off", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "taskwire"
    sys_version = ""

    def setup(self) -> None:
        """Waits for the whole head first, and lets the library read that."""
        super().setup()
        self.rfile.close()
        self._head = self._received()
        self.rfile = io.BufferedReader(io.BytesIO(self._head))
        self.connection.settimeout(SEND_TIMEOUT_S)

    def handle(self) -> None:
        """Answers the one request, unless its head is too long."""
        if len(self._head) <= MAX_HEAD_BYTES:
            self.handle_one_request()
            return
        # What the library knows of a request that it has not read.
        self.requestline = self.command = ""
        self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def do_GET(self) -> None:  # the library's name
        """Answers with a page."""
        if self.server.local and not _names_this_machine(self.headers.get("Host")):
            # A page in a browser can give its own name this machine's address.
            self._answer(_plain(HTTPStatus.MISDIRECTED_REQUEST, "This host is not served here."))
            return
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            known = " ".join(self.server.pages)
            self._answer(_plain(HTTPStatus.NOT_FOUND, f"There is nothing here; see: {known}"))
            return
        try:
            found = page()
        except Exception:
            log.exception("a page of the admin port failed")
            found = _plain(HTTPStatus.INTERNAL_SERVER_ERROR, "This page failed; see the log.")
        self._answer(found)

    do_HEAD = do_GET  # noqa: N815  # as above

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The library's refusals, in our words: nothing of the request is repeated."""
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:
            # The library's word for a method that it has no function for.
            status = HTTPStatus.METHOD_NOT_ALLOWED
        self.close_connection = True
        # It answers what it cannot read as one did in 1991, without a status line.
        self.request_version = "HTTP/1.0"
        self._answer(_plain(status, f"{status.phrase}."))

    def log_message(self, format: str, *args: object) -> None:
        """A line for every scrape would only be in the way."""

    def _answer(self, page: Page) -> None:
        body = page.body.encode()
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Content-Security-Policy", "default-src 'none'")
        if page.status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _received(self) -> bytes:
        until = time.monotonic() + HEAD_TIMEOUT_S
        head = b""
        while b"\r\n\r\n" not in head and b"\n\n" not in head:
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("the request's head did not come in time")
            self.connection.settimeout(left_s)
            data = self.connection.recv(MAX_HEAD_BYTES)
            head += data
            if not data or len(head) > MAX_HEAD_BYTES:
                break
        return head


def _names_this_machine(host: str | None) -> bool:
    if not host:
        return True
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return name.lower() == "localhost"
    return True


def _plain(status: HTTPStatus, text: str) -> Page:
    return Page(f"{text}\n", "text/plain; charset=utf-8", status)
