"""Message types by server reflection, so that a client needs no .proto of its own."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2

from taskwire.client.errors import UnknownName, call_failed

_TIMEOUT_S = 20.0
_NOT_FOUND = grpc.StatusCode.NOT_FOUND.value[0]


class Schema:
    """The server's messages and methods, fetched when first asked for; not thread-safe.

    Its classes belong to `pool` and do not mix with generated ones; bytes and Any cross.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self._reflect: grpc.StreamStreamMultiCallable[
            reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse
        ] = channel.stream_stream(
            # Older servers know v1alpha only, and newer ones know it still.
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        self._added: set[str] = set()
        self.pool = DescriptorPool()

    def message(self, name: str) -> type[Message]:
        """The class of the message with the full name `name`.

        Raises:
            UnknownName: the server has no such message.
            CallFailed: the server does not answer, or has no reflection.
        """
        self._fetch(name)
        try:
            return GetMessageClass(self.pool.FindMessageTypeByName(name))
        except KeyError:
            raise UnknownName(f"{name} is not a message") from None

    def method(self, type_name: str) -> MethodDescriptor:
        """The method "package.Service/Method".

        Raises:
            UnknownName: the server has no such method.
            CallFailed: the server does not answer, or has no reflection.
        """
        service_name, _, method_name = type_name.rpartition("/")
        self._fetch(service_name)
        try:
            service = self.pool.FindServiceByName(service_name)
            return service.methods_by_name[method_name]
        except KeyError:
            raise UnknownName(f"the server has no method {type_name}") from None

    def _fetch(self, symbol: str) -> None:
        if self._is_known(symbol):
            return
        request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
        files = {file.name: file for file in self._ask(request, symbol)}
        for file in list(files.values()):
            self._add(file, files)

    def _is_known(self, symbol: str) -> bool:
        try:
            self.pool.FindFileContainingSymbol(symbol)
        except KeyError:
            return False
        return True

    def _add(
        self,
        file: descriptor_pb2.FileDescriptorProto,
        at_hand: dict[str, descriptor_pb2.FileDescriptorProto],
    ) -> None:
        """Add `file` after everything that it imports; a server may leave the imports to us."""
        if file.name in self._added:
            return
        self._added.add(file.name)
        for name in file.dependency:
            if name not in self._added:
                self._add(at_hand.get(name) or self._file(name), at_hand)
        self.pool.AddSerializedFile(file.SerializeToString())

    def _file(self, name: str) -> descriptor_pb2.FileDescriptorProto:
        request = reflection_pb2.ServerReflectionRequest(file_by_filename=name)
        found = {file.name: file for file in self._ask(request, name)}
        if name not in found:
            raise UnknownName(f"the server does not show the contract file {name}")
        return found[name]

    def _ask(
        self, request: reflection_pb2.ServerReflectionRequest, name: str
    ) -> Iterator[descriptor_pb2.FileDescriptorProto]:
        call = self._reflect(iter([request]), timeout=_TIMEOUT_S)
        try:
            answer = next(call)
        except grpc.RpcError as error:
            raise call_failed(error) from None
        finally:
            call.cancel()
        problem = answer.error_response
        if problem.error_code:
            raise UnknownName(
                f"the server knows no {name}"
                if problem.error_code == _NOT_FOUND
                else f"the server cannot describe {name}: {problem.error_message}"
            )
        for data in answer.file_descriptor_response.file_descriptor_proto:
            yield descriptor_pb2.FileDescriptorProto.FromString(data)
