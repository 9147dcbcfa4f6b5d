"""What each fault of a proxy looks like to the two programs that it stands between."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.chaos.proxies import Proxies, Proxy
from tests.support.eventually import eventually


class Server:
    """A server that keeps what it receives, and of which a test takes the connections."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                self.connections.append(self._listener.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self.connections:
            each.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def proxy(proxies: Proxies, server: Server) -> Iterator[Proxy]:
    made = proxies.before(server.port)
    yield made
    made.close()


@pytest.fixture
def pair(proxy: Proxy, server: Server) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client's socket and the server's, joined by the proxy."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        eventually(lambda: server.connections and proxy.connections == 1)
        accepted = server.connections[0]
        accepted.settimeout(10)
        yield client, accepted


Pair = tuple[socket.socket, socket.socket]


def nothing_arrives(at: socket.socket) -> bool:
    """Whether there is nothing to read for a moment; the proxy has looked by then."""
    at.settimeout(0.2)
    try:
        return not at.recv(1)
    except TimeoutError:
        return True
    finally:
        at.settimeout(10)


def test_bytes_and_the_end_of_each_way_pass(pair: Pair) -> None:
    client, server = pair
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    assert (server.recv(100), server.recv(100)) == (b"question", b"")
    server.sendall(b"answer")
    server.close()
    assert (client.recv(100), client.recv(100)) == (b"answer", b"")


def test_a_cut_ends_a_connection_on_both_sides_and_new_ones_are_taken(
    proxy: Proxy, pair: Pair, server: Server
) -> None:
    assert proxy.cut() == 1
    assert [each.recv(1) for each in pair] == [b"", b""]
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10):
        eventually(lambda: len(server.connections) == 2)


def test_a_reset_is_an_error_on_both_sides(proxy: Proxy, pair: Pair) -> None:
    assert proxy.reset() == 1
    for each in pair:
        with pytest.raises(ConnectionResetError):
            each.recv(1)


def test_refused_connections_meet_no_listener_until_the_proxy_is_healed(
    proxy: Proxy, pair: Pair
) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
    pair[0].sendall(b"x")
    assert pair[1].recv(1) == b"x"
    proxy.heal()
    socket.create_connection(("127.0.0.1", proxy.port), timeout=10).close()


def test_a_blackhole_holds_both_ways_and_what_was_sent_arrives_afterwards(
    proxy: Proxy, pair: Pair
) -> None:
    client, server = pair
    proxy.blackhole()
    client.sendall(b"there")
    server.sendall(b"back")
    assert nothing_arrives(server)
    assert nothing_arrives(client)
    proxy.heal()
    assert (server.recv(100), client.recv(100)) == (b"there", b"back")


@pytest.mark.parametrize("towards", ["server", "client"])
def test_a_one_way_partition_holds_one_direction_only(
    proxy: Proxy, pair: Pair, towards: str
) -> None:
    open_end, closed_end = pair if towards == "server" else pair[::-1]
    proxy.blackhole("server" if towards == "server" else "client")
    open_end.sendall(b"lost")
    closed_end.sendall(b"passes")
    assert open_end.recv(100) == b"passes"
    assert nothing_arrives(closed_end)


def test_a_connection_that_was_given_up_in_a_blackhole_ends_when_it_is_healed(
    proxy: Proxy, pair: Pair
) -> None:
    client, server = pair
    proxy.blackhole()
    client.close()
    assert nothing_arrives(server)
    assert proxy.connections == 1
    proxy.heal()
    assert server.recv(1) == b""


def test_a_slow_link_delays_and_throttles(proxy: Proxy, pair: Pair) -> None:
    client, server = pair
    proxy.slow(delay_s=0.2, jitter_s=0.1, bytes_per_s=1000)
    sent = time.monotonic()
    client.sendall(b"x" * 200)
    assert len(server.recv(200)) == 200
    # 0.1 s of delay at least, and 0.2 s for the bytes.
    assert time.monotonic() - sent >= 0.3
    proxy.heal()
    client.sendall(b"x")
    assert server.recv(1) == b"x"


def test_healing_lets_go_what_a_slow_link_was_still_holding(proxy: Proxy, pair: Pair) -> None:
    client, server = pair
    proxy.slow(delay_s=3600)
    client.sendall(b"x")
    assert nothing_arrives(server)
    proxy.heal()
    assert server.recv(1) == b"x"


def test_a_server_that_is_away_is_a_connection_that_is_reset(proxies: Proxies) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    proxy = proxies.before(port)
    # It may be over before the client knows that it was connected.
    with (
        pytest.raises(ConnectionResetError),
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
    ):
        client.recv(1)
    proxy.close()
