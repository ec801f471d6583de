"""gRPC: the v2 protocol's service, with MLServer's messages.

MLServer's own servicer turns raw tensors into Python lists, number by number, and reports malformed ones as internal errors.
"""

import logging

import grpc
from google.protobuf.message import DecodeError
from mlserver.grpc import dataplane_pb2 as messages
from mlserver.grpc.converters import ModelMetadataResponseConverter, ServerMetadataResponseConverter
from mlserver.grpc.interceptors import PromServerInterceptor
from mlserver.types import InferenceRequest, Parameters, RequestInput, RequestOutput

from tfnn.serving.server.refused import Refused
from tfnn.serving.server.tensors import listed, packed

log = logging.getLogger(__name__)

SERVICE = "inference.GRPCInferenceService"
CODES = {404: grpc.StatusCode.NOT_FOUND, 413: grpc.StatusCode.RESOURCE_EXHAUSTED, 503: grpc.StatusCode.UNAVAILABLE}
FIELDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "UINT64": "uint64_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def server(data_plane, models, max_body, budget):
    """An unbound `grpc.aio` server.

    Args:
        max_body: the longest message, in bytes.
        budget: a `Budget` of messages.
    """
    options = {
        "grpc.so_reuseport": 0,  # otherwise a second server could take the same port without an error
        "grpc.max_receive_message_length": max_body,
        "grpc.max_send_message_length": -1,
    }
    made = grpc.aio.server(
        interceptors=[PromServerInterceptor(enable_handling_time_histogram=True)], options=[*options.items()]
    )
    methods = {name: handler(name, answer, budget) for name, answer in answers(data_plane, models).items()}
    made.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, methods)])
    return made


def answers(data_plane, models):
    """{method: coroutine function of its request}."""

    async def live(request):
        return messages.ServerLiveResponse(live=await data_plane.live())

    async def ready(request):
        return messages.ServerReadyResponse(ready=await data_plane.ready())

    async def model_ready(request):
        return messages.ModelReadyResponse(ready=await data_plane.model_ready(request.name, request.version))

    async def server_metadata(request):
        return ServerMetadataResponseConverter.from_types(await data_plane.metadata())

    async def model_metadata(request):
        return ModelMetadataResponseConverter.from_types(await data_plane.model_metadata(request.name, request.version))

    async def infer(request):
        asked = payload(request)
        model = await models.get_model(request.model_name, request.model_version)  # no made-up labels in metrics
        answer = await data_plane.infer(asked, model.name, model.version)
        return response(answer, raw=bool(request.raw_input_contents))

    return {
        "ServerLive": live,
        "ServerReady": ready,
        "ModelReady": model_ready,
        "ServerMetadata": server_metadata,
        "ModelMetadata": model_metadata,
        "ModelInfer": infer,
    }


def handler(name, answer, budget):
    """A gRPC handler that parses the request's bytes itself; gRPC reports bytes that it cannot parse as an internal error."""
    kind = getattr(messages, f"{name}Request")

    async def guarded(received, context):
        try:
            with budget.hold(len(received)):
                return await answer(kind.FromString(received))
        except DecodeError:
            code, reason = grpc.StatusCode.INVALID_ARGUMENT, f"the bytes are no {name}Request"
        except Refused as error:
            code, reason = CODES.get(error.status, grpc.StatusCode.INVALID_ARGUMENT), str(error)
        except Exception:
            log.exception("%s failed", name)
            code, reason = grpc.StatusCode.INTERNAL, "internal error; the server's log says more"
        await context.abort(code, reason)

    return grpc.unary_unary_rpc_method_handler(guarded, response_serializer=lambda message: message.SerializeToString())


def payload(request):
    """Converts a ModelInferRequest to MLServer's InferenceRequest."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise Refused(f"{len(raw)} raw_input_contents for {len(request.inputs)} inputs")
    data = raw or [contents(tensor) for tensor in request.inputs]
    inputs = [
        RequestInput.model_construct(
            name=tensor.name, datatype=tensor.datatype, shape=list(tensor.shape), parameters=parameters(tensor), data=one
        )
        for tensor, one in zip(request.inputs, data)
    ]
    outputs = [RequestOutput.model_construct(name=output.name) for output in request.outputs]
    return InferenceRequest.model_construct(id=request.id, parameters=parameters(request), inputs=inputs, outputs=outputs)


def contents(tensor):
    """The list in the typed field of the tensor's datatype."""
    if tensor.datatype not in FIELDS:
        raise Refused(f"{tensor.name} has datatype {tensor.datatype}; typed contents are {', '.join(FIELDS)}")
    wanted = FIELDS[tensor.datatype]
    given = [field.name for field, _ in tensor.contents.ListFields()]
    if given not in ([], [wanted]):
        raise Refused(f"{tensor.name} has {', '.join(given)}; {tensor.datatype} stands in {wanted}")
    return list(getattr(tensor.contents, wanted))


def parameters(item):
    values = {name: getattr(value, value.WhichOneof("parameter_choice") or "", None) for name, value in item.parameters.items()}
    return Parameters.model_construct(**values)


def response(answer, raw):
    """Converts an answer to a ModelInferResponse, with raw contents if the request had them."""
    made = messages.ModelInferResponse(model_name=answer.model_name, model_version=answer.model_version, id=answer.id)
    for output in answer.outputs:
        tensor = made.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
        if raw or output.datatype not in FIELDS:
            made.raw_output_contents.append(packed(output.data))
        else:
            flat = output.data.ravel() if output.datatype == "BYTES" else listed(output.data)
            getattr(tensor.contents, FIELDS[output.datatype]).extend(flat)
    return made
