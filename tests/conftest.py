"""What every test can ask for by name; the fixtures themselves live in `tests/support/`."""

from tests.support.embedded import embedded, killable_embedded
from tests.support.fixtures import (
    deployment_id,
    killable_postgres,
    killable_rabbit,
    killable_redis,
    postgres,
    proxies,
    rabbit,
    redis_server,
)
from tests.support.smtp import smtp
from tests.support.stores import postgresql_stores, sqlite_stores, store_url, stores

__all__ = [
    "deployment_id",
    "embedded",
    "killable_embedded",
    "killable_postgres",
    "killable_rabbit",
    "killable_redis",
    "postgres",
    "postgresql_stores",
    "proxies",
    "rabbit",
    "redis_server",
    "smtp",
    "sqlite_stores",
    "store_url",
    "stores",
]
