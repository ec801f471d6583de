"""The server, from its start to its orderly shutdown."""

import asyncio
import contextlib
import gc
import logging
import pathlib
import signal
import socket
from typing import NamedTuple

import prometheus_client
import uvicorn
from mlserver import Settings
from mlserver.handlers import DataPlane

from tfnn.serving.server import rest, rpc
from tfnn.serving.server.batcher import Batcher
from tfnn.serving.server.budget import Budget
from tfnn.serving.server.model import Model
from tfnn.serving.server.newest_versions import Models, bundles
from tfnn.version import __version__

log = logging.getLogger(__name__)

HELD = 2**28  # bytes of unanswered requests; parsed JSON takes several times as many
# A shutdown first answers, for this many seconds, requests that were already sent. Then, for as many seconds, it tells gRPC
# clients to go elsewhere: they keep their connections, and gRPC cancels requests that arrive at the moment of its end.
LAST_CALLS = 0.5
GRACE = 30  # seconds to finish the requests that are being answered


class Options(NamedTuple):
    """The options of `serve`.

    Attributes:
        host: the address to listen on.
        http_port, grpc_port, metrics_port: 0 takes a free port.
        batch_size: the most examples in a request and in a batch.
        batch_delay: seconds that a request waits for others.
        max_body: the most bytes in a request.
        max_pixels: the most pixels in a request.
        poll: seconds between two looks for new versions.
    """

    host: str
    http_port: int
    grpc_port: int
    metrics_port: int
    batch_size: int
    batch_delay: float
    max_body: int
    max_pixels: int
    poll: float


def serve(folder, options):
    """Serves the newest version of every bundle below `folder` until SIGTERM or SIGINT.

    Raises:
        ValueError: if nothing can be served, or a port is taken.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    if not bundles(folder):
        raise ValueError(f"{folder}: no bundle here; wanted NAME/VERSION/saved_model.pb below it, as tfnn.export writes them")
    asyncio.run(run(folder, options))


async def run(folder, options):
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sizes = prometheus_client.Histogram("tfnn_batch_size", "examples that ran together", buckets=[2**n for n in range(11)])
    batcher = Batcher(options.batch_size, options.max_pixels, options.batch_delay, observe=sizes.observe)
    models = Models(folder, lambda name, path: Model(name, path, batcher, options))
    settings = Settings(debug=False, parallel_workers=0, gzip_enabled=False, server_name="tfnn", server_version=__version__)
    data_plane = DataPlane(settings, models)
    budget = Budget(max(HELD, 2 * options.max_body))
    draining = rest.Draining(rest.application(settings, data_plane, models, options.max_body, budget))
    calls = rpc.server(data_plane, models, options.max_body, budget)
    with contextlib.ExitStack() as sockets:
        web = sockets.enter_context(listener(options.host, options.http_port, "--http-port"))
        numbers = sockets.enter_context(listener(options.host, options.metrics_port, "--metrics-port"))
        grpc_port = bound(calls, options.host, options.grpc_port)
        gc.freeze()  # so that a collection after a change of versions can skip TensorFlow's objects
        loading = asyncio.create_task(models.refresh())
        if not await first(loading, stop):
            return
        if not models.served:
            raise ValueError(f"{folder}: none of the bundles can be loaded")
        await calls.start()
        servers = [Server(draining, web), Server(prometheus_client.make_asgi_app(), numbers)]
        tasks = [asyncio.create_task(server.serve()) for server in servers]
        log.info("REST %s, gRPC %s, metrics %s/metrics", url(web), address(options.host, grpc_port), url(numbers))
        watching = asyncio.create_task(models.watch(options.poll))
        await stop.wait()
        log.info("stopping: no new connections; what was accepted is answered")
        watching.cancel()
        draining.on = True
        servers[0].refuse_new()
        await asyncio.sleep(LAST_CALLS)
        budget.close()
        for server in servers:
            server.should_exit = True
        await asyncio.sleep(LAST_CALLS)
        await asyncio.gather(calls.stop(GRACE), *tasks)
    batcher.close()
    log.info("stopped")


async def first(task, stop):
    """Waits for the task or for `stop`; returns whether the task ended first."""
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        await task
        return True
    task.cancel()
    return False


class Server(uvicorn.Server):
    """Uvicorn on a socket that is already bound, without its own signal handlers."""

    def __init__(self, app, listening):
        super().__init__(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=GRACE)
        )
        self.listening = listening

    def capture_signals(self):
        return contextlib.nullcontext()

    async def serve(self):
        await super().serve(sockets=[self.listening])

    def refuse_new(self):
        for server in self.servers:
            server.close()


def listener(host, port, option):
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise ValueError(f"{option} {port}: {host} gives no such port ({error.strerror})") from None
    return made


def bound(server, host, port):
    try:
        return server.add_insecure_port(address(host, port))
    except RuntimeError:
        raise ValueError(f"--grpc-port {port}: {host} gives no such port (Address already in use)") from None


def address(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url(listening):
    return f"http://{address(*listening.getsockname()[:2])}"
