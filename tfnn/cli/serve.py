"""Serve exported models over the KServe v2 protocol, REST and gRPC.

The newest version of every bundle DIR/NAME/VERSION is served. A newer one that appears is loaded, warmed up and
switched to while requests go on. Ctrl-C or SIGTERM ends the server once it has answered what it has accepted.
"""

import contextlib
import faulthandler
import importlib.metadata
import logging
import math
import os
import re
import sys

OLDEST = (1, 7, 1)


def add_arguments(parser):
    parser.add_argument(
        "directory", metavar="DIR", help="the folder that holds NAME/VERSION folders, as tfnn.export writes them"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default 127.0.0.1: this machine alone)")
    for name, port in (("http", 8080), ("grpc", 8081), ("metrics", 8082)):
        parser.add_argument(
            f"--{name}-port", type=int, default=port, metavar="N", help=f"the port (default {port}; 0 takes a free one)"
        )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=64,
        metavar="N",
        help="most examples in a request, and in a batch (default 64)",
    )
    parser.add_argument(
        "--batch-delay",
        type=float,
        default=0,
        metavar="MS",
        help="how long a request waits for others although a worker is free (default 0: a batch is what came in the meantime)",
    )
    parser.add_argument("--max-body", type=float, default=32, metavar="MB", help="the longest request (default 32)")
    parser.add_argument(
        "--max-pixels",
        type=int,
        default=25_000_000,
        metavar="N",
        help="most pixels in the images of a request (default 25000000)",
    )
    parser.add_argument("--poll", type=float, default=1, metavar="S", help="seconds between looks for new versions (default 1)")


def run(arguments):
    check(arguments)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from tfnn.serving.server.run import Options, serve

    options = Options(
        arguments.host,
        arguments.http_port,
        arguments.grpc_port,
        arguments.metrics_port,
        arguments.batch_size,
        arguments.batch_delay / 1000,
        int(arguments.max_body * 2**20),
        arguments.max_pixels,
        arguments.poll,
    )
    with logs_alone():
        serve(arguments.directory, options)
    return 0


@contextlib.contextmanager
def logs_alone():
    """Keeps all but the log off standard error, where image libraries write a line for each damaged file that clients send."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    with open(kept, "w", buffering=1) as stream:
        logging.basicConfig(
            stream=stream, format="%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S", level=logging.WARNING, force=True
        )
        logging.getLogger("tfnn").setLevel(logging.INFO)
        logging.getLogger("uvicorn").setLevel(logging.ERROR)  # it warns of each request that is no HTTP
        faulthandler.enable(stream)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(nowhere)
            faulthandler.disable()
            logging.getLogger().handlers.clear()


def check(arguments):
    for name in ("http_port", "grpc_port", "metrics_port"):
        if not 0 <= getattr(arguments, name) < 2**16:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(arguments, name)} must be from 0 to 65535")
    for name in ("batch_size", "max_body", "max_pixels", "poll"):
        if not 0 < getattr(arguments, name) < math.inf:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(arguments, name)} must be positive")
    if not 0 <= arguments.batch_delay < math.inf:
        raise ValueError(f"--batch-delay {arguments.batch_delay} must be 0 or positive")
    try:
        found = importlib.metadata.version("mlserver")
    except importlib.metadata.PackageNotFoundError:
        found = None
    if found is not None and tuple(map(int, re.findall(r"\d+", found)[:3])) >= OLDEST:
        return
    if sys.version_info >= (3, 13):
        raise ValueError(
            "tfnn serve needs MLServer 1.7.1 or newer, which does not run on Python 3.13: use Python 3.11 or 3.12, or serve"
            " the same directory with TensorFlow Serving, as the README shows"
        )
    missing = "which is missing" if found is None else f"found {found}"
    raise ValueError(f'tfnn serve needs MLServer 1.7.1 or newer, {missing}. Type: pip install "tfnn[serve]"')
