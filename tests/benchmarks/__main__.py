"""Prints how tfnn compares with its peers on this machine: `python -m tests.benchmarks fit [--json FILE]`.

A ratio above 1 means that tfnn is the better.
"""

import argparse
import dataclasses
import importlib
import inspect
import json
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from tests.benchmarks.timing import HEADER

SUITES = {
    "fit": "`tfnn.fit` against `model.fit`, PyTorch, JAX",
    "cold": "short fits of fresh models in fresh processes, against `model.fit` on TensorFlow and on JAX",
    "xla": "what compiling costs and gains on a CPU, and after how many updates it pays",
    "trainer": "the same with streams, hooks, validation, mixed precision; what a checkpoint costs, and data in memory",
    "threads": "the rule for intra-op threads",
    "accuracy": "the digits, ten seeds",
    "optimizers": "one update of ResNet-50's weights against Keras, optax, PyTorch",
    "layers": "a step of ResNet-20 with tfnn's BatchNorm against the same with Keras's",
    "augmentation": "flip, shift, rotate and zoom against Keras's four layers, albumentations",
    "augmented_accuracy": "what augmentation does for digits with 10 examples per class",
    "folders": "a pass over a folder of images that stay in their files, against a loop and Keras's reader",
    "growth": "the batch grows in place of a decay of the rate, ten seeds; what each callback that steers a run costs",
    "noise": "updates and accuracy on the digits where the measured noise of gradients chooses the batch",
    "board": "what TensorBoard costs an epoch of the digits",
    "export": "MobileNetV2 as a bundle against Keras's export, `predict`, ONNX Runtime, LiteRT, OpenVINO",
    "transfer": "a head on a frozen MobileNetV2 with features computed once, against `model.fit`",
    "serve": "latency and throughput of `tfnn serve`, with batching against without",
}


def main():
    suites = "\n".join(f"{name}: {what}" for name, what in SUITES.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=f"{__doc__}\n{suites}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("suites", nargs="+", choices=SUITES)
    parser.add_argument("--json", metavar="FILE", help="also write the rows to FILE")
    parser.add_argument("--pictures", metavar="DIR", help="draw what a suite has to show (growth)")
    arguments = parser.parse_args()
    rows = []
    print(HEADER)
    for suite in arguments.suites:
        function = importlib.import_module(f"tests.benchmarks.{suite}").rows
        draws = "pictures" in inspect.signature(function).parameters
        for row in function(pictures=arguments.pictures) if draws else function():
            print(row, flush=True)
            rows.append(row)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump([dataclasses.asdict(row) for row in rows], file, indent=1)


if __name__ == "__main__":
    main()
