"""Only `tfnn.internals` uses what is private in Keras and TensorFlow: read off the syntax trees, without an import of them."""

import ast
import functools
import importlib.util
import pathlib
import re

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "tfnn"
DOOR = PACKAGE / "internals"
PENDING = "training/", "controls.py"

PRIVATE_MODULE = re.compile(
    r"keras\.src(\.[\w.*]+)?|tensorflow\.(python|core|compiler|tools|dtensor|lite\.python)(\.[\w.*]+)?"
    r"|(keras|tensorflow)(\.\w+)*\._[A-Za-z]\w*(\.[\w.*]+)?"
)
PRIVATE_NAME = re.compile(r"_[A-Za-z]\w*|__(?:internal|operators)__")
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
PUBLIC = {"_replace", "_asdict", "_fields", "_make", "_field_defaults"}  # of named tuples, which Python documents
OWN = {"_hyperparameters"}  # of tfnn's optimizers, where TensorFlow has one of its own for other things
OF_TEXT = {"removeprefix", "removesuffix", "startswith", "endswith", "split", "rsplit", "partition", "rpartition", "replace"}


@functools.cache
def private_names():
    """All names with an underscore before them in the installed Keras and TensorFlow."""
    names = {b"__internal__", b"__operators__"}
    for package, folder in ("keras", "src"), ("tensorflow", "python"):
        root = pathlib.Path(importlib.util.find_spec(package).origin).parent / folder
        for file in root.rglob("*.py"):
            names.update(re.findall(rb"\b_[A-Za-z]\w*", file.read_bytes()))
    return {name.decode() for name in names} - PUBLIC - OWN


def is_private(name):
    return bool(PRIVATE_NAME.fullmatch(name)) and name in private_names()


def past_the_door(source):
    """[(line, what)] of the private names of Keras and TensorFlow, and modules of theirs, in Python's source."""
    tree = ast.parse(source)
    aliases, text = aliases_of(tree), texts_of(tree)
    found = []
    for node in ast.walk(tree):
        for what in names_in(node, aliases, text):
            found.append((node.lineno, what))
    return sorted(found)


def names_in(node, aliases, text):
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if PRIVATE_MODULE.fullmatch(alias.name))
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield from (name for name in (f"{node.module}.{alias.name}" for alias in node.names) if PRIVATE_MODULE.fullmatch(name))
    if isinstance(node, ast.Attribute):
        dotted = dotted_name(node, aliases)
        if is_private(node.attr) or (dotted and PRIVATE_MODULE.fullmatch(dotted)):
            yield dotted or node.attr
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in text:
        parts = node.value.split(".") if DOTTED.fullmatch(node.value) else ()
        if any(map(is_private, parts)) or PRIVATE_MODULE.fullmatch(node.value):
            yield node.value
    if isinstance(node, ast.ClassDef):
        yield from filter(is_private, (name for part in node.body for name in defined_by(part)))
    if isinstance(node, ast.Call):
        yield from filter(PRIVATE_MODULE.fullmatch, asked_of_module(node, aliases))
        yield from (keyword.arg for keyword in node.keywords if keyword.arg and is_private(keyword.arg))


def aliases_of(tree):
    """{name in the file: module} of what `import` binds."""
    names = [alias for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    first = {alias.name.split(".")[0] for alias in names if not alias.asname}
    return {name: name for name in first} | {alias.asname: alias.name for alias in names if alias.asname}


def dotted_name(node, aliases):
    """`keras.src.x` of such a chain of attributes, by the modules' own names; else None."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([aliases[node.id], *reversed(parts)]) if isinstance(node, ast.Name) and node.id in aliases else None


def asked_of_module(call, aliases):
    """`keras.src` of `getattr(keras, "src")`."""
    owner, *names = call.args or [None]
    if isinstance(owner, ast.Name) and owner.id in aliases:
        yield from (f"{aliases[owner.id]}.{name.value}" for name in names[:1] if isinstance(name, ast.Constant))


def texts_of(tree):
    """The ids of the strings that are no names: docstrings, parts of f-strings, and what methods of strings are given."""
    texts = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            texts.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            texts.update(map(id, node.values))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in OF_TEXT:
            texts.update(map(id, node.args))
    return texts


def defined_by(part):
    """The names that a statement in the body of a class gives it."""
    if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [part.name]
    targets = part.targets if isinstance(part, ast.Assign) else [part.target] if isinstance(part, ast.AnnAssign) else []
    return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]


def files():
    """The files outside of the door."""
    for file in sorted(PACKAGE.rglob("*.py")):
        if DOOR not in file.parents and not str(file.relative_to(PACKAGE)).startswith(PENDING):
            yield file


def test_nothing_gets_past_the_door():
    found = {str(file.relative_to(PACKAGE)): past_the_door(file.read_text()) for file in files()}
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    (
        "import keras.src",
        "import keras.src.backend as b",
        "import keras._tf_keras.keras",
        "from keras import src",
        "from keras.src.trainers import data_adapters",
        "from keras.src import *",
        "import tensorflow.python.client.device_lib",
        "from tensorflow.python.client import device_lib",
        "from tensorflow.core.protobuf.saved_model_pb2 import SavedModel",
        "from tensorflow import python",
        "from tensorflow.compiler import xla",
        "def f():\n    from keras.src.utils.io_utils import print_msg",
        'import importlib\nimportlib.import_module("keras.src.backend")',
        '__import__("tensorflow.python")',
        'import sys\nsys.modules["keras.src.utils.file_utils"]',
        "import keras\nkeras.src.backend.config",
        "import keras as k\nk.src",
        "import keras.layers\nkeras.src.backend",
        'import keras\ngetattr(keras, "src").backend',
        "import tensorflow as tf\ntf.python.client",
        "import tensorflow as tf\ntf.__internal__.distribute",
        "import tensorflow\ntensorflow.compiler.xla",
        "model._loss_tracker",
        "model.layers[0]._flatten_layers(recursive=False)",
        "optimizer._learning_rate = rate",
        "del optimizer._all_reduce_sum_gradients",
        "model.optimizer._trainable_variables += [weight]",
        'getattr(model, "_initial_epoch", None)',
        'hasattr(layer, "_call_has_training_arg")',
        'setattr(optimizer, "_learning_rate", rate)',
        'delattr(optimizer, "_all_reduce_sum_gradients")',
        'object.__setattr__(optimizer, "_learning_rate", rate)',
        'vars(model)["_compile_loss"]',
        'vars(layer).get("_keras_mask")',
        'optimizer.__dict__["_iterations"]',
        'operator.attrgetter("optimizer._learning_rate")(model)',
        'operator.methodcaller("_symbolic_build")',
        'NAMES = "best", "_last_batch_seen"\nfor name in NAMES:\n    getattr(callback, name)',
        'STATE = {keras.callbacks.SwapEMAWeights: ("_ema_weights_in_model",)}',
        'mock.patch.object(model, "_should_eval")',
        "class A(keras.optimizers.Optimizer):\n    def _backend_apply_gradients(self, grads, variables):\n        pass",
        "class A(keras.Model):\n    async def _symbolic_build(self):\n        pass",
        "class A(keras.layers.Layer):\n    _call_has_training_arg = True",
        "class A(keras.layers.Layer):\n    _call_has_training_arg: bool = True",
        "class A(keras.Model):\n    _compute_loss, other = None, None",
        "model.evaluate(x, y, _use_cached_eval_dataset=True)",
    ),
)
def test_a_private_name_is_found(source):
    assert past_the_door(source)


@pytest.mark.parametrize(
    "source",
    (
        "import keras.layers",
        "from keras import layers, Model",
        "import tensorflow as tf\ntf.distribute.get_strategy()",
        "from tensorflow.io import gfile",
        "from tfnn.internals.optimizers import rate_in",
        'model._tfnn_graph = getattr(model, "_tfnn_graph", None)',
        'object.__setattr__(model, "_tfnn_done", held)',
        'optimizer.__dict__.setdefault("_hyperparameters", {})',
        'name = f"{backbone}_classifier"',
        'name = shape.removesuffix("_shape")',
        'f"{name}_shape"',
        '"_".join(words)',
        "class A:\n    def _on_stream(self):\n        return self._on_arrays",
        "_shape = 3",
        "def _update(x):\n    return _update(x)",
        "result._replace(last=last)._asdict()",
        "type(layer).__name__, layer.__dict__, array.__array__()",
        'def f():\n    """_learning_rate"""',
        'def f():\n    """What `optimizer._learning_rate` and keras.src hold."""  # model._loss_tracker',
    ),
)
def test_what_is_public_or_of_tfnn_is_not(source):
    assert past_the_door(source) == []


def test_what_the_door_names_is_there():
    """A name that no installed version has is one that was misspelt, or that only older versions had."""
    named = {name for file in DOOR.glob("*.py") for _, name in past_the_door(file.read_text())}
    assert len(named) > 50
    spelt = {part for file in DOOR.glob("*.py") for part in re.findall(r'"(_[a-z]\w*)"', file.read_text())}
    assert {name for name in spelt if name not in private_names()} == set()
