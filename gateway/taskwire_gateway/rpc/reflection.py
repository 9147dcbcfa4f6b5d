"""Server reflection, v1 and v1alpha, over the contracts' pool.

Both versions are the same messages under two names, so that one servicer answers both. The
files of health and of reflection itself are added to the pool, or `grpcurl describe` would
fail on the services that it lists.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2 as pb

from taskwire_gateway.admission import Gate
from taskwire_gateway.rpc.calls import Call, Context, Handler, parse
from taskwire_gateway.rpc.idle_streams import IdleStreams

_METHODS = ("v1", "v1alpha")


class Reflection:
    """Answers what `services` are and what the pool knows of them."""

    def __init__(
        self, pool: DescriptorPool, services: Sequence[str], gate: Gate, streams: IdleStreams
    ) -> None:
        self._pool = pool
        self._gate = gate
        self._streams = streams
        reflection = [f"grpc.reflection.{version}.ServerReflection" for version in _METHODS]
        self._services = sorted({*services, *reflection, "grpc.health.v1.Health"})
        self._serialized: dict[str, bytes] = {}
        _add_own_files(pool)

    def handlers(self) -> dict[str, Handler]:
        """The method handlers by path."""
        handler: Handler = grpc.stream_stream_rpc_method_handler(self._serve)
        return {
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo": handler
            for version in _METHODS
        }

    async def _serve(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        async with Call(context):
            with self._gate.admit(b""):
                while (data := await self._next(requests)) is not None:
                    request = parse(data, pb.ServerReflectionRequest)
                    response = self._answer(request)
                    response.valid_host = request.host
                    response.original_request.CopyFrom(request)
                    yield response.SerializeToString()

    async def _next(self, requests: AsyncIterator[bytes]) -> bytes | None:
        with self._streams.idle():
            return await anext(requests, None)

    def _answer(self, request: pb.ServerReflectionRequest) -> pb.ServerReflectionResponse:
        try:
            match request.WhichOneof("message_request"):
                case "list_services":
                    return self._list()
                case "file_by_filename":
                    return self._files(self._pool.FindFileByName(request.file_by_filename))
                case "file_containing_symbol":
                    return self._files(self._file_of_symbol(request.file_containing_symbol))
                case "file_containing_extension":
                    return self._files(self._file_of_extension(request.file_containing_extension))
                case "all_extension_numbers_of_type":
                    return self._extensions(request.all_extension_numbers_of_type)
        except KeyError:
            return _error(grpc.StatusCode.NOT_FOUND, "There is no such file or symbol.")
        return _error(grpc.StatusCode.INVALID_ARGUMENT, "The request asks for nothing.")

    def _list(self) -> pb.ServerReflectionResponse:
        services = [pb.ServiceResponse(name=name) for name in self._services]
        return pb.ServerReflectionResponse(
            list_services_response=pb.ListServiceResponse(service=services)
        )

    def _files(self, wanted: FileDescriptor) -> pb.ServerReflectionResponse:
        files: dict[str, FileDescriptor] = {}
        _collect(wanted, files)
        serialized = [self._bytes(file) for file in files.values()]
        return pb.ServerReflectionResponse(
            file_descriptor_response=pb.FileDescriptorResponse(file_descriptor_proto=serialized)
        )

    def _bytes(self, file: FileDescriptor) -> bytes:
        if file.name not in self._serialized:
            proto = descriptor_pb2.FileDescriptorProto()
            file.CopyToProto(proto)
            self._serialized[file.name] = proto.SerializeToString()
        return self._serialized[file.name]

    def _file_of_symbol(self, symbol: str) -> FileDescriptor:
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            # Python's pool does not count methods among its symbols, as the other ones do.
            return self._pool.FindMethodByName(symbol).containing_service.file

    def _file_of_extension(self, wanted: pb.ExtensionRequest) -> FileDescriptor:
        extended = self._pool.FindMessageTypeByName(wanted.containing_type)
        found = self._pool.FindExtensionByNumber(extended, wanted.extension_number)
        return self._pool.FindFileContainingSymbol(found.full_name)

    def _extensions(self, type_name: str) -> pb.ServerReflectionResponse:
        extended = self._pool.FindMessageTypeByName(type_name)
        numbers = sorted(found.number for found in self._pool.FindAllExtensions(extended))
        return pb.ServerReflectionResponse(
            all_extension_numbers_response=pb.ExtensionNumberResponse(
                base_type_name=type_name, extension_number=numbers
            )
        )


def _collect(file: FileDescriptor, files: dict[str, FileDescriptor]) -> None:
    if file.name not in files:
        files[file.name] = file
        for dependency in file.dependencies:
            _collect(dependency, files)


def _error(code: grpc.StatusCode, message: str) -> pb.ServerReflectionResponse:
    return pb.ServerReflectionResponse(
        error_response=pb.ErrorResponse(error_code=code.value[0], error_message=message)
    )


def _add_own_files(pool: DescriptorPool) -> None:
    for data in (health_pb2.DESCRIPTOR.serialized_pb, pb.DESCRIPTOR.serialized_pb, _v1_file()):
        name = descriptor_pb2.FileDescriptorProto.FromString(data).name
        try:
            pool.FindFileByName(name)
        except KeyError:
            pool.AddSerializedFile(data)


def _v1_file() -> bytes:
    """reflection.proto of v1: no wheel brings it, and only its package differs from v1alpha's."""
    proto = descriptor_pb2.FileDescriptorProto.FromString(pb.DESCRIPTOR.serialized_pb)
    proto.name = "grpc/reflection/v1/reflection.proto"
    proto.package = "grpc.reflection.v1"
    old, new = ".grpc.reflection.v1alpha.", ".grpc.reflection.v1."
    for message in proto.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(old, new)
    for service in proto.service:
        for method in service.method:
            method.input_type = method.input_type.replace(old, new)
            method.output_type = method.output_type.replace(old, new)
    return proto.SerializeToString()
