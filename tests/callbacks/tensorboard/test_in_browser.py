"""What a person sees: the program `tensorboard` on a run, in a browser without a window.

    apt-get install chromium chromium-driver; pip install selenium
    python -m pytest -m slow tests/callbacks/tensorboard/test_in_browser.py

The screenshots lie in the folder that TFNN_SCREENSHOTS names, else in pytest's temporary one.
"""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import keras
import numpy as np
import pytest

import tfnn

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--window-size=1500,1100"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# tab: words that stand in it, once it has what it shows
TABS = {
    "scalars": ["epoch_loss", "batch_gradient_norm", "update_ratio"],
    "graphs": ["Main Graph", "Conceptual graph"],
    "images": ["confusion", "inputs"],
    "hparams": ["learning_rate", "final/val_loss"],
    "text": ["configuration/optimizer", "momentum"],
    "histograms": ["conv2d/kernel"],
}


def write_run(folder):
    digits = tfnn.data.digits()
    images = lambda part: (part.x.astype(np.float32) / 16, part.y)
    model = tfnn.models.resnet((8, 8, 1), 10, depth=8, width=4)
    model.compile(tfnn.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    settings = {"histogram_freq": 1, "update_freq": 4, "image_freq": 1, "confusion_freq": 1, "hparams": {"learning_rate": 0.1}}
    board, augment = tfnn.callbacks.TensorBoard(folder, **settings), tfnn.layers.RandomRotation(0.05)
    held = images(digits.validation)
    tfnn.fit(model, *images(digits.train), 32, 3, 0, [board], validation_data=held, augment=augment, seed=1)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of a server of the program `tensorboard`, which reads a run."""
    folder = tmp_path_factory.mktemp("logs")
    keras.utils.set_random_seed(1)
    write_run(folder / "run")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", folder, "--port", str(port), "--host", "127.0.0.1"]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/data/runs", timeout=5).read() != b"[]")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("no chromium and chromedriver: see the head of this file")
    webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium: see the head of this file")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield opened
    opened.quit()


@pytest.mark.slow
@pytest.mark.parametrize("tab", TABS)
def test_a_tab_shows_what_was_written(tab, browser, address, tmp_path):
    browser.get(f"{address}/#{tab}")
    browser.refresh()
    wait_for(lambda: all(word in text_of(browser) for word in TABS[tab]), what=f"{TABS[tab]} in the tab {tab}")
    time.sleep(3)  # drawing follows the words
    folder = pathlib.Path(os.environ.get("TFNN_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(str(folder / f"{tab}.png"))


def text_of(browser):
    """Of all elements, those in TensorBoard's shadow trees too, shown or not."""
    words = """
        const words = [], visit = node => {
            if (node.shadowRoot) visit(node.shadowRoot);
            node.childNodes.forEach(child => child.nodeType == 3 ? words.push(child.data) : visit(child));
        };
        visit(document.body);
        return words.join(' ');
    """
    return browser.execute_script(words)


def wait_for(condition, what="the server", seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"waited {seconds} s for {what}")
