"""`taskwire.v1.UserService`: message in, use case, message out, one method each."""

from __future__ import annotations

import hashlib

from taskwire.v1 import user_pb2
from taskwire.v1 import user_service_pb2 as pb
from taskwire_contracts.task_message import set_time
from taskwire_contracts.validation import Rules
from taskwire_core.ids import new_id, to_text
from taskwire_core.page_tokens import PageTokens
from taskwire_core.user import NewUser, User, UserChange, UserLookup, UserRemoval
from taskwire_gateway.admission import Admission, Kind
from taskwire_gateway.rpc.calls import Call, Handler, unary
from taskwire_gateway.users.managing import Users
from taskwire_gateway.users.masks import masked_fields

SERVICE = "taskwire.v1.UserService"
_WRITABLE = ("username", "email", "display_name")
_PAGE = 50


class UserService:
    """The methods; `handlers` is what the server serves."""

    def __init__(self, users: Users, rules: Rules, page_tokens: PageTokens) -> None:
        self._users = users
        self._rules = rules
        self._page_tokens = page_tokens

    def handlers(self, admission: Admission) -> dict[str, Handler]:
        """The method handlers by path."""
        gate = admission.gate(Kind.UNARY)
        methods = {
            "CreateUser": unary(pb.CreateUserRequest, gate, self.create_user),
            "GetUser": unary(pb.GetUserRequest, gate, self.get_user),
            "ListUsers": unary(pb.ListUsersRequest, gate, self.list_users),
            "UpdateUser": unary(pb.UpdateUserRequest, gate, self.update_user),
            "DeleteUser": unary(pb.DeleteUserRequest, gate, self.delete_user),
        }
        return {f"/{SERVICE}/{name}": handler for name, handler in methods.items()}

    async def create_user(self, request: pb.CreateUserRequest, call: Call) -> pb.CreateUserResponse:
        """Create a user, once per request id."""
        self._rules.require(request)
        user = request.user
        new = NewUser(
            id=to_text(new_id()),
            username=user.username,
            email=user.email,
            display_name=user.display_name,
            creator=call.owner,
            request_id=request.request_id or None,
            request_hash=_hash(user),
        )
        return pb.CreateUserResponse(user=_message(await self._users.create(new)))

    async def get_user(self, request: pb.GetUserRequest, call: Call) -> pb.GetUserResponse:
        """Read one user."""
        self._rules.require(request)
        return pb.GetUserResponse(user=_message(await self._users.get(request.id)))

    async def list_users(self, request: pb.ListUsersRequest, call: Call) -> pb.ListUsersResponse:
        """One page of users; a page's place is the last id of the page before."""
        self._rules.require(request)
        scope = f"ListUsers {request.username} {request.email}"
        after = ""
        if request.page_token:
            after = self._page_tokens.read(request.page_token, str, user=call.owner, scope=scope)
        size = request.page_size or _PAGE
        lookup = UserLookup(size + 1, after, username=request.username, email=request.email)
        found = await self._users.find(lookup)
        response = pb.ListUsersResponse(users=[_message(user) for user in found[:size]])
        if len(found) > size:
            token = self._page_tokens.sign(found[size - 1].id, user=call.owner, scope=scope)
            response.next_page_token = token
        return response

    async def update_user(self, request: pb.UpdateUserRequest, call: Call) -> pb.UpdateUserResponse:
        """Change the fields that the mask names."""
        self._rules.require(request)
        wanted = request.user
        names = masked_fields(request.update_mask.paths, wanted, _WRITABLE)
        values = {name: getattr(wanted, name) for name in names}
        change = UserChange(wanted.id, values, wanted.etag)
        user = await self._users.change(change, caller=call.owner)
        return pb.UpdateUserResponse(user=_message(user))

    async def delete_user(self, request: pb.DeleteUserRequest, call: Call) -> pb.DeleteUserResponse:
        """Delete a user without live tasks."""
        self._rules.require(request)
        await self._users.delete(UserRemoval(request.id, request.etag), caller=call.owner)
        return pb.DeleteUserResponse()


def _message(user: User) -> user_pb2.User:
    message = user_pb2.User(
        id=user.id,
        username=user.username,
        email=user.email,
        display_name=user.display_name,
        etag=user.etag,
    )
    set_time(message.create_time, user.create_time_us)
    set_time(message.update_time, user.update_time_us)
    return message


def _hash(user: user_pb2.User) -> bytes:
    """32 bytes over what the caller may choose."""
    sent = user_pb2.User(username=user.username, email=user.email, display_name=user.display_name)
    return hashlib.sha256(sent.SerializeToString(deterministic=True)).digest()
