"""What every test can ask for by name; the fixtures themselves live in `tests/support/`."""

from tests.support.embedded import embedded, killable_embedded
from tests.support.fixtures import (
    deployment_id,
    killable_rabbit,
    killable_redis,
    rabbit,
    redis_server,
)

__all__ = [
    "deployment_id",
    "embedded",
    "killable_embedded",
    "killable_rabbit",
    "killable_redis",
    "rabbit",
    "redis_server",
]
