"""Versions come and go under a running server; what cannot be served is refused, and what was served stays."""

import asyncio
import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest

pytest.importorskip("mlserver", reason="tfnn serve needs the extra serve")

from tests.serving.server.conftest import network, pictures, publish
from tests.serving.server.running import FREE, Connection, Running
from tfnn.serving.server.newest_versions import Models
from tfnn.serving.server.refused import Refused


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Three exported versions, each with its model."""
    folder = tmp_path_factory.mktemp("versions") / "m"
    models = [network(seed) for seed in (1, 2, 3)]
    return [(model, publish(model, folder)) for model in models]


def put(version, folder, name=None):
    """As an exporter does: beside, then one rename."""
    folder.mkdir(parents=True, exist_ok=True)
    hidden = shutil.copytree(version, folder / ".copy")
    return hidden.rename(folder / (name or version.name))


def flip(path):
    """One bit of the middle byte."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def expected(model):
    return model.predict(pictures() / 255, verbose=0)


def test_versions_come_and_go(versions, tmp_path):
    (one, first), (two, second), (_, third) = versions
    folder = tmp_path / "models"
    put(first, folder / "m")
    running = Running(folder, tmp_path / "log")

    def answers(model, name="m"):
        answer = running.call("image", "UINT8", (4, 6, 5, 1), raw=pictures().tobytes(), model=name)["probabilities"]
        np.testing.assert_allclose(answer, expected(model), atol=1e-6)

    answers(one)
    put(second, folder / "m")
    running.wait_for("m: version 2 replaces 1: serving_default, image_bytes, raw")
    answers(two)

    damaged = shutil.copytree(third, folder / "m" / ".copy")
    flip(damaged / "saved_model.pb")
    damaged.rename(folder / "m" / "3")
    running.wait_for(r"m: version 3 refused: .*saved_model.pb is not as it was written")
    answers(two)

    put(first, folder / "n")
    running.wait_for("n: version 1: serving_default")
    answers(one, "n")
    (folder / "n").rename(tmp_path / "away")
    running.wait_for("n: gone from")
    assert running.get("/v2/models/n/ready")[0] == 404

    (folder / "m" / "2").rename(tmp_path / "back")
    running.wait_for("m: version 1 replaces 2")
    answers(one)

    shutil.rmtree(folder / "m" / "3")
    put(third, folder / "m")  # mended
    running.wait_for("m: version 3 replaces 1")

    folder.rename(tmp_path / "unmounted")
    running.wait_for("No such file or directory; what was loaded is served on")
    assert running.get("/v2/models/m/ready")[0] == 200
    assert running.stop() == 0
    assert running.log.count("refused") == running.log.count("No such file") == 1
    assert "Traceback" not in running.log


class Loaded:
    """What `Models` needs of a model."""

    signatures = ("serving_default",)

    def __init__(self, name, path):
        if (path / "bad").exists():
            raise ValueError("bad")
        self.name, self.version, self.ready = name, path.name, True
        self.itself = self  # as a SavedModel's parts do


def version(folder, number, bad=False):
    (folder / str(number)).mkdir(parents=True)
    (folder / str(number) / "saved_model.pb").touch()
    if bad:
        (folder / str(number) / "bad").touch()


def test_the_newest_that_can_be_loaded_is_served(tmp_path):
    for number, bad in ((9, False), (10, False), (11, True)):
        version(tmp_path / "m", number, bad)
    (tmp_path / "m" / "12").mkdir()  # no SavedModel
    version(tmp_path / ".hidden", 1)
    models = Models(tmp_path, Loaded)
    asyncio.run(models.refresh())
    assert {name: model.version for name, model in models.served.items()} == {"m": "10"}
    (tmp_path / "m" / "11" / "bad").unlink()
    asyncio.run(models.refresh())
    assert models.served["m"].version == "11"


def test_a_folder_may_be_one_bundle(tmp_path):
    version(tmp_path / "m", 1)
    models = Models(tmp_path / "m", Loaded)
    asyncio.run(models.refresh())
    assert list(models.served) == ["m"]


def test_a_version_that_is_replaced_is_released(tmp_path):
    version(tmp_path / "m", 1)
    models = Models(tmp_path, Loaded)
    asyncio.run(models.refresh())
    old = weakref.ref(models.served["m"])
    gc.disable()
    try:
        version(tmp_path / "m", 2)
        asyncio.run(models.refresh())
        assert models.served["m"].version == "2" and old() is None
    finally:
        gc.enable()


def test_while_a_version_loads_the_old_one_answers(tmp_path):
    version(tmp_path / "m", 1)
    go = threading.Event()

    class Slow(Loaded):
        def __init__(self, name, path):
            super().__init__(name, path)
            go.wait(10 if self.version == "2" else 0)

    async def main():
        models = Models(tmp_path, Slow)
        await models.refresh()
        version(tmp_path / "m", 2)
        loading = asyncio.create_task(models.refresh())
        await asyncio.sleep(0.1)
        assert (await models.get_model("m")).version == "1" and not loading.done()
        with pytest.raises(Refused, match=r"no model m of version 2; served: m \(version 1\)"):
            await models.get_model("m", "2")
        go.set()
        await loading
        assert (await models.get_model("m")).version == "2"

    asyncio.run(main())


def test_what_runs_when_the_signal_comes_is_answered(versions, tmp_path):
    """Requests wait a second for others, so that they surely run when the server is told to stop."""
    model, path = versions[-1]
    running = Running(path.parent, tmp_path / "log", "--batch-delay", 1000)
    found = {}

    def rest():
        found["rest"] = running.answers(("image", "UINT8", pictures()))["probabilities"]

    def rpc():
        found["rpc"] = running.call("image", "UINT8", (4, 6, 5, 1), raw=pictures().tobytes())["probabilities"]

    threads = [threading.Thread(target=ask) for ask in (rest, rpc)]
    for thread in threads:
        thread.start()
    time.sleep(0.4)
    began = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    running.wait_for("stopping")
    with pytest.raises(ConnectionRefusedError):
        Connection(running).infer("{}")
    for thread in threads:
        thread.join()
    assert running.process.wait(30) == 0 and time.monotonic() - began < 10
    assert len(found) == 2
    for answer in found.values():
        np.testing.assert_allclose(answer, expected(model), atol=1e-6)
    assert running.log.splitlines()[-1].endswith("stopped")


def test_what_cannot_be_served_is_told_in_one_line(versions, served, tmp_path):
    folder = versions[0][1].parent
    damaged = tmp_path / "damaged" / "m" / "1"
    shutil.copytree(versions[0][1], damaged)
    flip(damaged / "assets" / "labels.txt")
    taken = "127.0.0.1 gives no such port (Address already in use)"
    cases = [
        ([folder, "--http-port", served.rest], f"tfnn: error: --http-port {served.rest}: {taken}"),
        ([folder, *FREE, "--metrics-port", served.metrics], f"tfnn: error: --metrics-port {served.metrics}: {taken}"),
        ([folder, *FREE, "--grpc-port", served.grpc], f"tfnn: error: --grpc-port {served.grpc}: {taken}"),
        ([tmp_path / "damaged", *FREE], f"tfnn: error: {tmp_path / 'damaged'}: none of the bundles can be loaded"),
    ]
    command = [sys.executable, "-m", "tfnn", "serve"]
    started = [
        subprocess.Popen([*command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for arguments, _ in cases
    ]
    told = [process.communicate(timeout=120) for process in started]
    *before, last = told[-1][1].splitlines()
    assert [process.returncode for process in started] == [2] * len(cases), told
    assert [*told[:-1], ("", f"{last}\n")] == [("", f"{message}\n") for _, message in cases]
    assert len(before) == 1 and "m: version 1 refused: " in before[0] and "labels.txt is not as it was written" in before[0]


def test_ctrl_c_ends_it_too(versions, tmp_path):
    running = Running(versions[0][1].parent, tmp_path / "log")
    os.kill(running.process.pid, signal.SIGINT)
    assert running.process.wait(30) == 0 and "Traceback" not in running.log
