"""UserService over the real store: what is accepted, and how everything else is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest

from taskwire.v1 import user_pb2, user_service_pb2_grpc
from taskwire.v1 import user_service_pb2 as pb
from taskwire_db.orm import USERNAME
from tests.gateway.running import Refusal, Running, Worker, refusal
from tests.gateway.two_users import Gateways

ROOT = Path(__file__).parents[2]
Users: TypeAlias = "user_service_pb2_grpc.UserServiceAsyncStub"


@pytest.fixture
def users(running: Running) -> Users:
    return stub_of(running)


def stub_of(running: Running) -> Users:
    stub: Users = user_service_pb2_grpc.UserServiceStub(running.channel)
    return stub


def ada(
    username: str = "ada", email: str = "ada@example.com", display_name: str = ""
) -> user_pb2.User:
    return user_pb2.User(username=username, email=email, display_name=display_name)


async def created(users: Users, **fields: str) -> user_pb2.User:
    return (await users.CreateUser(pb.CreateUserRequest(user=ada(**fields)))).user


async def updated(users: Users, user: user_pb2.User, *paths: str) -> user_pb2.User:
    request = pb.UpdateUserRequest(user=user)
    request.update_mask.paths.extend(paths)
    return (await users.UpdateUser(request)).user


async def listed(users: Users, **fields: Any) -> list[str]:
    return [user.username for user in (await users.ListUsers(pb.ListUsersRequest(**fields))).users]


async def test_a_user_is_created_read_changed_and_deleted(users: Users) -> None:
    user = await created(users, display_name="Ada")
    assert user.id
    assert user.etag.startswith('"')
    assert user.create_time == user.update_time
    assert (await users.GetUser(pb.GetUserRequest(id=user.id))).user == user
    user.display_name = "Ada L."
    changed = await updated(users, user)
    assert (changed.display_name, changed.email) == ("Ada L.", "ada@example.com")
    assert changed.etag != user.etag
    await users.DeleteUser(pb.DeleteUserRequest(id=user.id, etag=changed.etag))
    found = await refusal(users.GetUser(pb.GetUserRequest(id=user.id)))
    assert (found.code, found.reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")
    assert found.resource == user.id


async def test_pages_hold_every_user_once_by_age(users: Users) -> None:
    names = [f"user{number}" for number in range(7)]
    for name in names:
        await created(users, username=name, email=f"{name}@example.com")
    seen, token = [], ""
    while True:
        page = await users.ListUsers(pb.ListUsersRequest(page_size=3, page_token=token))
        assert len(page.users) <= 3
        seen += [user.username for user in page.users]
        token = page.next_page_token
        if not token:
            break
    assert seen == [*names, "dev"]


async def test_a_token_of_another_user_or_of_another_list_is_refused(gateways: Gateways) -> None:
    dev, ada = stub_of(gateways.dev), stub_of(gateways.ada)
    token = (await dev.ListUsers(pb.ListUsersRequest(page_size=1))).next_page_token
    calls = [
        listed(ada, page_token=token),
        listed(dev, page_token=token, username="ada"),
        listed(dev, page_token="dev"),
    ]
    for call in calls:
        found = await refusal(call)
        assert (found.code, found.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_PAGE_TOKEN",
        )
        assert list(found.violations) == ["page_token"]
    assert await listed(dev, page_token=token) == ["dev"]


async def test_a_user_is_looked_up_by_name_and_by_address(users: Users) -> None:
    await created(users)
    assert await listed(users, username="ada") == ["ada"]
    assert await listed(users, email="ADA@EXAMPLE.COM") == ["ada"]
    assert await listed(users, username="dev", email="ada@example.com") == []


BAD_USERS = [
    ({"username": ""}, ["user.username"]),
    ({"username": "", "email": ""}, ["user.username", "user.email"]),
    ({"username": "Ada"}, ["user.username"]),
    ({"username": "ad"}, ["user.username"]),
    ({"username": "a" * 64}, ["user.username"]),
    ({"username": "1ada"}, ["user.username"]),
    ({"username": "ada lovelace", "email": "nowhere"}, ["user.username", "user.email"]),
    ({"email": "ada@"}, ["user.email"]),
    ({"email": "a" * 251 + "@b.c"}, ["user.email"]),
    ({"display_name": "a\0b"}, ["user.display_name"]),
    ({"display_name": "x" * 201}, ["user.display_name"]),
]


@pytest.mark.parametrize(("fields", "paths"), BAD_USERS)
async def test_everything_that_is_wrong_with_a_new_user_is_named(
    users: Users, fields: dict[str, str], paths: list[str]
) -> None:
    found = await refusal(created(users, **fields))
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_VIOLATION")
    assert list(found.violations) == paths
    assert found.violations[paths[0]] in found.message


async def test_a_request_without_a_user_is_refused(users: Users) -> None:
    for call in (
        users.CreateUser(pb.CreateUserRequest()),
        users.UpdateUser(pb.UpdateUserRequest()),
    ):
        assert list((await refusal(call)).violations) == ["user"]


@pytest.mark.parametrize(
    ("fields", "reason", "sentence"),
    [
        ({"email": "new@example.com"}, "USERNAME_TAKEN", "The user name is taken"),
        ({"username": "adb", "email": "ADA@example.com"}, "EMAIL_TAKEN", "The e-mail address is"),
        ({}, "USERNAME_TAKEN", "The user name and the e-mail address are taken"),
    ],
)
async def test_what_is_taken_is_refused_all_at_once(
    users: Users, fields: dict[str, str], reason: str, sentence: str
) -> None:
    await created(users)
    found = await refusal(created(users, **fields))
    assert (found.code, found.reason) == (grpc.StatusCode.ALREADY_EXISTS, reason)
    assert found.message.startswith(sentence)
    assert len(found.violations) == (2 if "and" in sentence else 1)


async def test_of_many_calls_that_create_one_user_exactly_one_does(users: Users) -> None:
    calls = [created(users) for _ in range(10)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    errors = [Refusal(each) for each in found if isinstance(each, grpc.aio.AioRpcError)]
    assert [each.reason for each in errors] == ["USERNAME_TAKEN"] * 9
    assert await listed(users) == ["ada", "dev"]


async def test_a_repeated_request_gives_the_first_user(users: Users) -> None:
    request = pb.CreateUserRequest(user=ada(), request_id="r")
    first = (await users.CreateUser(request)).user
    # What only the server sets is no content.
    request.user.etag = "whatever"
    assert (await users.CreateUser(request)).user == first
    request.user.display_name = "other"
    found = await refusal(users.CreateUser(request))
    assert (found.code, found.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert found.metadata == {"requestId": "r"}


async def test_a_mask_says_what_is_written(users: Users) -> None:
    user = await created(users, display_name="Ada")
    wanted = user_pb2.User(id=user.id, email="new@example.com", display_name="New")
    assert (await updated(users, wanted, "email")).display_name == "Ada"
    assert (await updated(users, wanted)).display_name == "New"
    # A field that is named and not set is taken away.
    wanted.ClearField("display_name")
    assert (await updated(users, wanted, "display_name")).display_name == ""


async def test_a_star_writes_everything(users: Users) -> None:
    user = await created(users, display_name="Ada")
    user.username, user.display_name = "adb", ""
    changed = await updated(users, user, "*")
    assert (changed.username, changed.display_name) == ("adb", "")
    found = await refusal(updated(users, user_pb2.User(id=user.id), "*"))
    assert list(found.violations) == ["user.username", "user.email"]


async def test_output_only_fields_are_passed_over(users: Users) -> None:
    user = await created(users)
    sent = user_pb2.User(id=user.id, email="new@example.com")
    sent.create_time.FromSeconds(1)
    changed = await updated(users, sent, "id", "email", "create_time", "update_time", "etag")
    assert (changed.email, changed.create_time) == ("new@example.com", user.create_time)


@pytest.mark.parametrize("paths", [["phone"], ["email", "user.email"], ["*", "email"], [""]])
async def test_a_mask_with_an_unknown_path_names_those_that_exist(
    users: Users, paths: list[str]
) -> None:
    user = await created(users)
    found = await refusal(updated(users, user, *paths))
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD_MASK")
    assert "there are username, email, display_name, *" in found.message
    assert list(found.violations) == ["update_mask"]


async def test_an_old_etag_changes_and_deletes_nothing(users: Users) -> None:
    user = await created(users)
    await updated(users, user_pb2.User(id=user.id, display_name="Ada"))
    user.email = "new@example.com"
    calls = [
        updated(users, user, "email"),
        users.DeleteUser(pb.DeleteUserRequest(id=user.id, etag=user.etag)),
    ]
    for call in calls:
        found = await refusal(call)
        assert (found.code, found.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
        assert "read it again" in found.message
    assert (await users.GetUser(pb.GetUserRequest(id=user.id))).user.email == "ada@example.com"


@pytest.mark.parametrize("method", ["GetUser", "UpdateUser", "DeleteUser"])
async def test_a_user_that_is_not_there_is_not_found(users: Users, method: str) -> None:
    if method == "UpdateUser":
        request: Any = pb.UpdateUserRequest(user=user_pb2.User(id="nobody", display_name="x"))
    else:
        request = getattr(pb, f"{method}Request")(id="nobody")
    found = await refusal(getattr(users, method)(request))
    assert (found.code, found.reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")
    assert found.message == "There is no user nobody."


@pytest.mark.parametrize("id", ["", "a b", "\0", "x" * 65])
async def test_an_id_that_can_be_none_is_refused(users: Users, id: str) -> None:
    for method in ("GetUser", "DeleteUser"):
        request = getattr(pb, f"{method}Request")(id=id)
        assert list((await refusal(getattr(users, method)(request))).violations) == ["id"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"page_size": -1}, "page_size"),
        ({"page_size": 1001}, "page_size"),
        ({"username": "Nobody!"}, "username"),
        ({"email": "nowhere"}, "email"),
    ],
)
async def test_a_page_that_can_be_none_is_refused(
    users: Users, fields: dict[str, Any], path: str
) -> None:
    assert list((await refusal(listed(users, **fields))).violations) == [path]


async def test_a_user_with_tasks_that_have_not_ended_is_kept(
    gateways: Gateways, worker: Worker
) -> None:
    running, other = gateways.dev, gateways.ada
    users = stub_of(running)
    ids = [await other.submitted() for _ in range(2)]
    request = pb.DeleteUserRequest(id=gateways.ada_id)
    found = await refusal(users.DeleteUser(request))
    assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "USER_HAS_TASKS")
    assert found.metadata == {"id": gateways.ada_id, "tasks": "2"}
    assert (
        found.message
        == "The user has 2 tasks that have not ended; wait for the end, or cancel first."
    )
    for task_id in ids:
        await worker.succeed(await worker.claim(task_id), running.message("acme.v1.ShrinkResponse"))
    await users.DeleteUser(request)


async def test_a_gateway_whose_user_was_deleted_takes_no_task(gateways: Gateways) -> None:
    users = stub_of(gateways.dev)
    await users.DeleteUser(pb.DeleteUserRequest(id=gateways.ada_id))
    found = await refusal(gateways.ada.submitted())
    assert (found.code, found.reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")
    assert found.metadata == {"id": gateways.ada_id}
    call = gateways.ada.durable(gateways.ada.shrink().SerializeToString())
    assert (await refusal(call)).reason == "USER_NOT_FOUND"


async def test_whom_a_server_acts_as_is_protected(gateways: Gateways) -> None:
    ada = stub_of(gateways.ada)
    for user_id in ("dev", gateways.ada_id):
        found = await refusal(ada.DeleteUser(pb.DeleteUserRequest(id=user_id)))
        assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "USER_PROTECTED")
        assert found.message == (
            f"The user {user_id} cannot be deleted, because this server acts as them."
        )
        found = await refusal(updated(ada, user_pb2.User(id=user_id, username="deva")))
        assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "USER_PROTECTED")
        assert "keeps their name" in found.message
    dev = user_pb2.User(id="dev", username="dev", email="dev@example.com")
    assert (await updated(ada, dev, "*")).email == "dev@example.com"
    same = user_pb2.User(id=gateways.ada_id, username="ada", email="ada@example.org")
    assert (await updated(ada, same, "*")).email == "ada@example.org"


def test_a_shell_and_the_contract_know_the_same_usernames() -> None:
    contract = (ROOT / "protos" / "taskwire" / "v1" / "user.proto").read_text()
    assert f'pattern = "^{USERNAME.pattern}$"' in contract
