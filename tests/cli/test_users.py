"""`taskwire users` against a real server."""

from __future__ import annotations

import uuid

import pytest

from tests.cli.conftest import Taskwire


@pytest.fixture
def name() -> str:
    """A username that no other test takes: the server is shared."""
    return f"u{uuid.uuid4().hex[:12]}"


def test_a_user_is_created_listed_changed_and_deleted(taskwire: Taskwire, name: str) -> None:
    made = taskwire("users", "create", name, f"{name}@example.com", "--display-name", "Ada")
    assert made.code == 0, made.err
    assert f"username      {name}" in made.out
    user = taskwire("users", "get", name, "--json").json
    assert user["email"] == f"{name}@example.com"
    assert user in taskwire("users", "list", "--json").json
    assert f"{name}  {name}@example.com" in taskwire("users", "list").out

    changed = taskwire("users", "update", name, "--email", f"{name}@b.c", "--display-name", "")
    assert f"{name}@b.c" in changed.out
    assert "display name" not in changed.out
    etag = taskwire("users", "get", user["id"], "--json").json["etag"]
    stale = taskwire("users", "delete", name, "--etag", user["etag"])
    assert stale.code == 3
    assert "(ABORTED ETAG_MISMATCH)" in stale.line
    # A shell takes the quotes away.
    deleted = taskwire("users", "delete", name, "--etag", etag.strip('"'))
    assert (deleted.code, deleted.out) == (0, f"{name} is deleted.\n")
    gone = taskwire("users", "get", name)
    assert gone.code == 3
    assert gone.line == f"taskwire: There is no user {name}. (NOT_FOUND USER_NOT_FOUND)"


def test_a_repeated_request_gives_the_same_user(taskwire: Taskwire, name: str) -> None:
    command = ("users", "create", name, f"{name}@b.c", "--request-id", name, "--json")
    assert taskwire(*command).json == taskwire(*command).json
    assert "USERNAME_TAKEN" in taskwire("users", "create", name, "other@b.c").line


def test_an_update_of_nothing_is_refused(taskwire: Taskwire) -> None:
    answer = taskwire("users", "update", "dev")
    assert answer.code == 2
    assert "nothing to change" in answer.line


def test_dev_stays(taskwire: Taskwire) -> None:
    assert "USER_PROTECTED" in taskwire("users", "delete", "dev").line
    assert "USER_PROTECTED" in taskwire("users", "update", "dev", "--username", "deva").line


def test_a_name_that_looks_like_markup_is_shown(taskwire: Taskwire, name: str) -> None:
    made = taskwire("users", "create", name, f"{name}@b.c", "--display-name", "[/]")
    assert "display name  [/]" in made.out
    assert f"{name}@b.c  [/]" in taskwire("users", "list").out
    taskwire("users", "delete", name)
