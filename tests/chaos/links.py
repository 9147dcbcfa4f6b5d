"""The links of a cluster: a proxy for each pair of a process and what it depends on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from tests.chaos.proxies import Proxies, Proxy, Towards
from tests.chaos.servers import Dependency

Other = Dependency | Literal["gateway"]
"""What a link leads to: a server, or for clients a gateway."""


def kind_of(name: str) -> str:
    """What a process is, such as "worker" for "worker-2"."""
    return name.partition("-")[0]


class Links:
    """Some proxies, to which the same is done."""

    def __init__(self, proxies: list[Proxy]) -> None:
        self.proxies = proxies

    def __iter__(self) -> Iterator[Proxy]:
        return iter(self.proxies)

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return sum(each.connections for each in self)

    @property
    def accepted(self) -> int:
        """How many connections were ever accepted."""
        return sum(each.accepted for each in self)

    def slow(
        self, delay_s: float = 0.0, jitter_s: float = 0.0, bytes_per_s: float = float("inf")
    ) -> None:
        """See `Proxy.slow`."""
        for each in self:
            each.slow(delay_s, jitter_s, bytes_per_s)

    def blackhole(self, *towards: Towards) -> None:
        """See `Proxy.blackhole`."""
        for each in self:
            each.blackhole(*towards)

    def refuse(self) -> None:
        """See `Proxy.refuse`."""
        for each in self:
            each.refuse()

    def cut(self) -> int:
        """Close every connection; how many there were."""
        return sum(each.cut() for each in self)

    def reset(self) -> int:
        """End every connection with RST; how many there were."""
        return sum(each.reset() for each in self)

    def heal(self) -> None:
        """See `Proxy.heal`."""
        for each in self:
            each.heal()


class Network:
    """Makes a cluster's links, each when it is first needed, and finds them again."""

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies
        self._links: dict[tuple[str, str], Proxy] = {}

    def between(self, name: str, other: str, target: int) -> Proxy:
        """The one link of the process `name` to `other`, which listens at the port `target`."""
        if (name, other) not in self._links:
            self._links[name, other] = self._proxies.before(target)
        return self._links[name, other]

    def links(self, of: str = "", to: str = "") -> Links:
        """Those of a process or of all of a kind, to a dependency; all where it is left out."""
        found = [
            proxy
            for (name, other), proxy in self._links.items()
            if of in ("", name, kind_of(name)) and to in ("", other, kind_of(other))
        ]
        assert found, f"there is no link from {of!r} to {to!r} in {list(self._links)}"
        return Links(found)

    def close(self) -> None:
        """Drop all connections."""
        for each in self._links.values():
            each.close()
