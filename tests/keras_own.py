"""Keras's own test classes, as its wheel ships them, with tfnn's classes in place of Keras's."""

import contextlib
import importlib
import sys
import types
import unittest

import pytest

from tests.needs import has, needs_keras


@contextlib.contextmanager
def conftest_of_keras():
    """Keras's tests import a few names from the conftest of its repository, which the wheel leaves out."""
    stand_in = types.ModuleType("conftest")
    stand_in.skip_if_backend = lambda backend, reason: pytest.mark.skipif(backend == "tensorflow", reason=reason)
    before = sys.modules.get("conftest")
    sys.modules["conftest"] = stand_in
    try:
        yield
    finally:
        if before is None:
            del sys.modules["conftest"]
        else:
            sys.modules["conftest"] = before


def keras_tests(module, excepted=(), **parts):
    """The test classes of `keras.src.<module>`, in whose eyes each name in `parts` is the given object.

    Args:
        module: such as "optimizers.adam_test".
        excepted: names of tests that are left out; say why beside the call.
        parts: name in the module to tfnn's class, or namespace.
    """
    if not has("3.15"):
        return {"test_keras_s_own": needs_keras("3.15", "its own tests in its wheel")(lambda: None)}
    name = f"keras.src.{module}"
    with conftest_of_keras():
        sys.modules.pop(name, None)  # a copy of its own for each set of parts
        tests = importlib.import_module(name)
        del sys.modules[name]
    for part, ours in parts.items():
        assert hasattr(tests, part), f"{name} has no {part}"
        setattr(tests, part, ours)
    classes = [c for c in vars(tests).values() if isinstance(c, type) and issubclass(c, unittest.TestCase)]
    classes = [c for c in classes if c.__module__ == name]
    assert classes, f"{name} has no test class"
    found = {}
    for case in classes:
        for test in excepted:
            if hasattr(case, test):
                setattr(case, test, pytest.mark.skip(reason="a documented difference")(getattr(case, test)))
        found[case.__name__] = case
    missing = [test for test in excepted if not any(hasattr(case, test) for case in classes)]
    assert not missing, f"{name} has no {missing}"
    return found
