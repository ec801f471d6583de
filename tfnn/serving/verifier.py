"""A program for a process of its own, in which neither Keras nor tfnn can be imported: does a bundle answer as it should?

Each line of its input names a bundle, a file of cases and a tolerance, as JSON; each line of its output is null, or what is
wrong.
"""

import json
import pickle
import sys

import numpy as np
import tensorflow as tf

BLOCKED = "keras", "tf_keras", "tfnn"


class Block:
    """Refuses to import what a server does not have. TensorFlow itself imports Keras, so that this comes after it."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(f"{name} is blocked here")


def block():
    for name in [name for name in sys.modules if name.split(".")[0] in BLOCKED]:
        del sys.modules[name]
    sys.meta_path.insert(0, Block())


def problem(bundle, golden, tolerance):
    """What is wrong with the answers of a bundle, or None."""
    with open(golden, "rb") as file:
        cases, labels = pickle.load(file)
    loaded = tf.saved_model.load(bundle)
    for signature, inputs, wanted in cases:
        where = f"signature {signature}, batch of {len(next(iter(inputs.values())))}"
        answers = loaded.signatures[signature](**{name: tf.constant(array) for name, array in inputs.items()})
        answers = {name: answer.numpy() for name, answer in answers.items()}
        if sorted(answers) != sorted(wanted):
            return f"{where}: outputs are {sorted(answers)}, wanted {sorted(wanted)}"
        for name, answer in answers.items():
            if found := difference(name, answer, wanted, labels, tolerance):
                return f"{where}: {name} {found}"
    return None


def difference(name, answer, wanted, labels, tolerance):
    if answer.shape != wanted[name].shape:
        return f"has shape {answer.shape}, wanted {wanted[name].shape}"
    if name == "classes" and labels:
        return misnamed(answer, wanted, labels, tolerance)
    if not np.issubdtype(answer.dtype, np.floating):
        return None if (answer == wanted[name]).all() else "differs from that of the training pipeline"
    if answer.dtype != wanted[name].dtype:
        return f"is {answer.dtype}, wanted {wanted[name].dtype}"
    if not np.isfinite(wanted[name]).all() or not np.isfinite(answer).all():
        return "is not finite" if not np.array_equal(answer, wanted[name], equal_nan=True) else None
    worst = np.abs(answer - wanted[name]).max(initial=0)
    allowed = tolerance * max(1, np.abs(wanted[name]).max(initial=0))
    return f"is off by {worst:.1e}, allowed are {allowed:.1e}" if worst > allowed else None


def misnamed(classes, wanted, labels, tolerance):
    """Names in the right order; those of equal probability may change places. A name may belong to several classes."""
    labels = np.array([label.encode() for label in labels])
    ok = wanted.get("ok", np.ones(len(classes), bool))
    for row, (names, expected, probabilities) in enumerate(zip(classes, wanted["classes"], wanted["probabilities"])):
        near = [
            np.abs(probabilities[labels == name] - score) <= tolerance for name, score in zip(names, -np.sort(-probabilities))
        ]
        if not (all(each.any() for each in near) if ok[row] else (names == expected).all()):
            return f"of row {row} are {names.tolist()}, wanted {expected.tolist()}"
    return None


def main():
    block()
    for line in sys.stdin:
        try:
            found = problem(**json.loads(line))
        except Exception as error:  # whatever keeps a bundle from answering is a reason not to publish it
            found = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
