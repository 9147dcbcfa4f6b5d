"""The client's side of `UserService`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from taskwire.client.short_call import short_call
from taskwire.v1 import user_pb2, user_service_pb2, user_service_pb2_grpc


class Users:
    """Who owns tasks: `Client.users`. Every method raises `CallFailed` and `Unreachable`."""

    def __init__(self, channel: grpc.Channel, timeout_s: float) -> None:
        self._stub = user_service_pb2_grpc.UserServiceStub(channel)
        self._timeout_s = timeout_s

    def create(
        self,
        username: str,
        email: str,
        *,
        display_name: str = "",
        request_id: str | None = None,
    ) -> user_pb2.User:
        """The new user; with the same `request_id` and content the one that it created before."""
        request = user_service_pb2.CreateUserRequest(
            user=user_pb2.User(username=username, email=email, display_name=display_name),
            request_id=request_id or str(uuid.uuid4()),
        )
        return short_call(self._stub.CreateUser, request, self._timeout_s).user

    def get(self, id: str) -> user_pb2.User:
        """The user with this id."""
        request = user_service_pb2.GetUserRequest(id=id)
        return short_call(self._stub.GetUser, request, self._timeout_s).user

    def named(self, name: str) -> user_pb2.User:
        """The user with this username, or with this id."""
        try:
            uuid.UUID(name)
        except ValueError:
            for user in self.list(username=name):
                return user
        return self.get(name)

    def list(self, *, username: str = "", email: str = "") -> Iterator[user_pb2.User]:
        """All users by age; only those with this username or e-mail address, where given."""
        request = user_service_pb2.ListUsersRequest(page_size=1000, username=username, email=email)
        while True:
            page = short_call(self._stub.ListUsers, request, self._timeout_s)
            yield from page.users
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def update(self, user: user_pb2.User, *fields: str) -> user_pb2.User:
        """The user afterwards: `fields` of `user` are written, or those that are set.

        An etag in `user` makes sure that nobody else has changed the user since.
        """
        request = user_service_pb2.UpdateUserRequest(
            user=user, update_mask=FieldMask(paths=fields) if fields else None
        )
        return short_call(self._stub.UpdateUser, request, self._timeout_s).user

    def delete(self, id: str, *, etag: str = "") -> None:
        """Delete a user none of whose tasks waits or runs."""
        request = user_service_pb2.DeleteUserRequest(id=id, etag=etag)
        short_call(self._stub.DeleteUser, request, self._timeout_s)
