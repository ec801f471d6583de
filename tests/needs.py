"""What a test needs that not every supported Keras has."""

import keras
import pytest

from tfnn.startup import minor

INSTALLED = minor(keras.__version__)


def has(version):
    """Whether the Keras that is installed is this one or later."""
    return minor(version) <= INSTALLED


def needs_keras(version, feature):
    """Skips a test where Keras is older, and says for what; as a decorator, or in the `marks` of a case."""
    return pytest.mark.skipif(not has(version), reason=f"needs Keras {version}: {feature}")


RENORM = needs_keras("3.14", "renorm")
INPUT_AXES = needs_keras("3.15", "input_axes")
MULTI_OPTIMIZER = needs_keras("3.15", "MultiOptimizer")
