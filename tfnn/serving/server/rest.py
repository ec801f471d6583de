"""REST: MLServer's application for health and metadata, and our own handler for inference.

MLServer's `infer` reads bodies of any size, unpacks gzip of any size, echoes what it cannot parse, and does not support the
protocol's binary extension. Its other routes (generate, streams, loading and unloading by clients) are left out.
"""

import asyncio

import orjson
from mlserver.rest.app import create_app
from mlserver.types import InferenceRequest
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from tfnn.serving.server.refused import Refused
from tfnn.serving.server.tensors import listed

MODEL = "/v2/models/{model_name}", "/v2/models/{model_name}/versions/{model_version}"
KEPT = {"/v2", "/v2/health/live", "/v2/health/ready", *MODEL, *(f"{path}/ready" for path in MODEL)}
BINARY = "inference-header-content-length"
PATIENCE = 60  # seconds within which a body must arrive
READ_ON = 4  # a body that is too long is read up to this multiple of the limit


def application(settings, data_plane, models, max_body, budget):
    """The ASGI application.

    Args:
        max_body: the longest body, in bytes.
        budget: a `Budget` of bodies.
    """
    app = create_app(settings, data_plane, None)
    app.router.routes = [route for route in app.router.routes if route.path in KEPT]

    async def infer(request):
        with budget.hold(0) as hold:  # counts bytes as they arrive: announcing many costs a client nothing
            return await answered(request, await body(request, max_body, hold))

    async def answered(request, received):
        name, version = request.path_params["model_name"], request.path_params.get("model_version")
        model = await models.get_model(name, version)  # metrics must not take labels that clients made up
        answer = await data_plane.infer(parsed(received, request.headers.get(BINARY)), name, model.version)
        outputs = [
            {"name": output.name, "datatype": output.datatype, "shape": output.shape, "data": listed(output.data)}
            for output in answer.outputs
        ]
        return rendered({"model_name": name, "model_version": answer.model_version, "id": answer.id, "outputs": outputs})

    for path in MODEL:
        app.router.add_route(f"{path}/infer", infer, methods=["POST"])
    app.add_exception_handler(Refused, lambda request, error: refusal(str(error), error.status))
    app.add_exception_handler(HTTPException, lambda request, error: refusal(error.detail, error.status_code, error.headers))
    app.add_exception_handler(Exception, lambda request, error: refusal("internal error; the server's log says more", 500))
    return app


def rendered(content, status=200, headers=None):
    return Response(orjson.dumps(content), status, headers, "application/json")


def refusal(reason, status, headers=None):
    return rendered({"error": reason}, status, headers)


async def body(request, longest, hold):
    """Reads a request's body of at most `longest` bytes; `hold` is called with the number of bytes as they arrive.

    A client does not read while it writes. So if the body is somewhat too long, the rest is read and dropped, and the client
    gets to see the answer.
    """
    received, length = bytearray(), 0
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.stream():
                length += len(chunk)
                if length <= longest:
                    hold(len(chunk))
                    received += chunk
                if length > READ_ON * longest:
                    break
    except TimeoutError:
        raise Refused(f"the body did not arrive within {PATIENCE} s", 408) from None
    except ClientDisconnect:
        raise Refused("the client left") from None
    if length > longest:
        raise Refused(f"the body is longer than {longest} bytes, the most that this server takes", 413)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refused("compressed bodies are not taken; send it without Content-Encoding", 415)
    return bytes(received)


def parsed(received, header):
    """Parses an InferenceRequest from JSON, or from `header` bytes of JSON followed by tensors (binary extension)."""
    end = len(received) if header is None else int(header) if header.isdecimal() and len(header) < 12 else -1
    if not 0 <= end <= len(received):
        raise Refused(f"{BINARY}: {header[:20]!r} must be a number of bytes, at most the {len(received)} of the body")
    try:
        content = orjson.loads(received[:end])
    except orjson.JSONDecodeError as error:
        raise Refused(f"the body is not JSON: {error}") from None
    if header is not None:
        attach(content, received[end:])
    try:
        return InferenceRequest.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise Refused(f"{'.'.join(map(str, first['loc'])) or 'the body'}: {first['msg']}") from None


def attach(content, binary):
    """Hands out the bytes in turn: each input with the parameter binary_data_size gets that many."""
    place = 0
    inputs = content.get("inputs") if isinstance(content, dict) else None
    for tensor in inputs if isinstance(inputs, list) else ():
        parameters = tensor.get("parameters") if isinstance(tensor, dict) else None
        size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
        if size is None:
            continue
        if not isinstance(size, int) or not 0 <= size <= len(binary) - place:
            raise Refused(f"binary_data_size {size!r} must be an integer, at most the {len(binary) - place} bytes left")
        tensor["data"] = binary[place : place + size]
        place += size
    if place < len(binary):
        raise Refused(f"{len(binary) - place} bytes after the last tensor")


class Draining:
    """An ASGI application that, once `on` is set, tells clients in each answer to close their connection."""

    def __init__(self, app):
        self.app, self.on = app, False

    async def __call__(self, scope, receive, send):
        async def closing(message):
            if self.on and message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self.app(scope, receive, closing)
