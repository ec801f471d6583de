"""Checks a bundle's answers, as a program in a process that can import neither Keras nor tfnn.

Its argument is the format. All formats but TensorFlow's run without TensorFlow, in their own runtime. Each line of the input
is JSON with a bundle, a file of cases and a tolerance; each line of the output is JSON: null, or a text that says what is
wrong.
"""

import json
import pickle
import sys

import numpy as np

BLOCKED = ["keras", "tf_keras", "tfnn"]


class Block:
    """Blocks imports that a server does not have. TensorFlow itself imports Keras, so it must be imported first."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(f"{name} is blocked here")


def prepare(format):
    """Loads TensorFlow if it is the runtime, and blocks it otherwise; blocks Keras and tfnn."""
    if format == "tf_saved_model":
        import tensorflow  # noqa: F401
    else:
        BLOCKED.append("tensorflow")
    for name in [name for name in sys.modules if name.split(".")[0] in BLOCKED]:
        del sys.modules[name]
    sys.meta_path.insert(0, Block())


def saved_model(bundle):
    """Loads a bundle as a function of (signature, {input: array}) that returns {output: array}; so do those below."""
    import tensorflow as tf

    loaded = tf.saved_model.load(bundle)

    def answer(signature, inputs):
        answers = loaded.signatures[signature](**{name: tf.constant(array) for name, array in inputs.items()})
        return {name: answer.numpy() for name, answer in answers.items()}

    return answer


def onnx(bundle):
    from onnxruntime import InferenceSession

    session = InferenceSession(f"{bundle}/model.onnx", providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda signature, inputs: dict(zip(names, session.run(names, inputs)))


def litert(bundle):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(f"{bundle}/model.tflite")
    return lambda signature, inputs: interpreter.get_signature_runner(signature)(**inputs)


def openvino(bundle):
    import openvino

    # By default OpenVINO computes in bfloat16 if the processor has it.
    network = openvino.compile_model(f"{bundle}/model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def answer(signature, inputs):
        answers = network(inputs)
        return {name: answers[output] for output in network.outputs for name in output.names}

    return answer


FORMATS = {"tf_saved_model": saved_model, "onnx": onnx, "litert": litert, "openvino": openvino}


def problem(format, bundle, golden, tolerance):
    """A text that says what is wrong with a bundle's answers, or None."""
    with open(golden, "rb") as file:
        cases, labels = pickle.load(file)
    ask = FORMATS[format](bundle)
    for signature, inputs, wanted in cases:
        where = f"signature {signature}, batch of {len(next(iter(inputs.values())))}"
        answers = ask(signature, inputs)
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
    """A text that says which class names are wrong, or None.

    Names of equal probability may change places. A name may belong to several classes.
    """
    labels = np.array([label.encode() for label in labels])
    ok = wanted.get("ok", np.ones(len(classes), bool))
    for row, (names, expected, probabilities) in enumerate(zip(classes, wanted["classes"], wanted["probabilities"])):
        near = [
            np.abs(probabilities[labels == name] - score) <= tolerance for name, score in zip(names, -np.sort(-probabilities))
        ]
        if not (all(each.any() for each in near) if ok[row] else (names == expected).all()):
            return f"of row {row} are {names.tolist()}, wanted {expected.tolist()}"
    return None


def main(format):
    prepare(format)
    for line in sys.stdin:
        try:
            found = problem(format, **json.loads(line))
        except Exception as error:  # whatever keeps a bundle from answering is a reason not to publish it
            found = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
