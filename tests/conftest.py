"""What every test can ask for by name; the fixtures themselves live in `tests/support/`."""

from tests.support.fixtures import (
    deployment_id,
    killable_rabbit,
    killable_redis,
    rabbit,
    redis_server,
)

__all__ = ["deployment_id", "killable_rabbit", "killable_redis", "rabbit", "redis_server"]
