"""A service's admin port: made first, opened when there is something to ask, one call each."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from importlib.metadata import version

from prometheus_client import ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from taskwire_admin.exception_log import ExceptionLog
from taskwire_admin.exception_metrics import ExceptionMetrics
from taskwire_admin.exposition import exposition
from taskwire_admin.health import Check, Standing, always, starting
from taskwire_admin.http_port import HttpPort, Page, is_loopback
from taskwire_admin.instruments import Instruments
from taskwire_core.errors import ConfigurationError
from taskwire_core.settings import AUTO, OFF

log = logging.getLogger(__name__)

PORTS = {"gateway": 50080, "dev": 50080, "worker": 50081, "keeper": 50082}
"""Where each service's admin port is on 127.0.0.1 when the setting says `auto`."""

_JSON = "application/json"


class Admin:
    """What one service shows; its parts fill `instruments`."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.instruments = Instruments()
        self._uuid = str(uuid.uuid4())
        registry = self.instruments.registry
        ProcessCollector(registry=registry)
        registry.register(
            ExceptionMetrics(self.instruments.exceptions, service, version("taskwire"))
        )

        self.healthy: Check = always
        """What /healthz asks."""
        self.ready: Check = starting
        """What /readyz asks; the service sets it when it has begun to work."""

    @contextmanager
    def open(self, setting: str) -> Iterator[str | None]:
        """Serves while the block lasts, at the address of TASKWIRE_ADMIN_LISTEN, which it tells;
        None when there is no port.

        What is logged as an error with an exception is collected meanwhile. An address that was
        chosen for the service and is in use costs the port; one that was set costs the start.

        Raises:
            ConfigurationError: the address that was set cannot be had.
        """
        handler = ExceptionLog(self.instruments.exceptions)
        logging.getLogger().addHandler(handler)
        port = self._listen(setting)
        try:
            yield None if port is None else f"{_host_of(self._address(setting))}:{port.port}"
        finally:
            logging.getLogger().removeHandler(handler)
            if port is not None:
                port.close()

    def _address(self, setting: str) -> str:
        return f"127.0.0.1:{PORTS[self.service]}" if setting == AUTO else setting

    def _listen(self, setting: str) -> HttpPort | None:
        if setting == OFF:
            return None
        address = self._address(setting)
        host = _host_of(address).strip("[]")
        pages = {
            "/-/exceptions": self._exceptions,
            "/metrics": self._metrics,
            "/healthz": lambda: _standing(self.healthy()),
            "/readyz": lambda: _standing(self.ready()),
        }
        try:
            port = HttpPort(host, int(address.rpartition(":")[2]), pages)
        except OSError as error:
            if setting != AUTO:
                raise ConfigurationError(
                    f"the admin port cannot listen on {address}: {error.strerror};"
                    " set TASKWIRE_ADMIN_LISTEN to another address, or to off"
                ) from error
            log.warning(
                "no admin port, its address is in use; set TASKWIRE_ADMIN_LISTEN",
                extra={"listen": address},
            )
            return None
        if not is_loopback(host):
            log.warning(
                "the admin port has no authentication and listens beyond this machine",
                extra={"listen": address},
            )
        log.info("admin port open", extra={"listen": address, "port": port.port})
        return port

    def _exceptions(self) -> Page:
        # Imported here, for those that are asked for it.
        from taskwire_admin.periskop import payload

        return Page(payload(self._uuid, self.instruments.exceptions.bundles()), _JSON)

    def _metrics(self) -> Page:
        return Page(exposition(self.instruments.registry), CONTENT_TYPE_PLAIN_0_0_4)


def _host_of(address: str) -> str:
    return address.rpartition(":")[0]


def _standing(found: Standing) -> Page:
    status = HTTPStatus.OK if found.good else HTTPStatus.SERVICE_UNAVAILABLE
    return Page(found.to_json() + "\n", _JSON, status)
