import keras
import numpy as np
import pytest

import tfnn


def convolutions(model):
    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Conv2D)]


@pytest.mark.parametrize("depth, blocks", [(8, 3), (14, 6), (20, 9), (32, 15)])
def test_resnet_has_the_depth_that_it_says(depth, blocks):
    model = tfnn.models.resnet((32, 32, 3), 10, depth)
    assert sum(isinstance(layer, tfnn.layers.ResidualBlock) for layer in model.layers) == blocks
    projections = [layer for layer in convolutions(model) if layer.kernel_size == (1, 1)]
    assert len(convolutions(model)) - len(projections) + 1 == depth  # 3×3 convolutions and the dense layer


def test_resnet20_has_the_parameters_of_the_paper():
    """0.27 M (He et al. 2016, table 6), here with projections for shortcuts."""
    assert 0.26e6 < tfnn.models.resnet((32, 32, 3), 10, 20).count_params() < 0.28e6


def test_resnet_takes_any_image_shape():
    for shape in (8, 8, 1), (5, 7, 3), (33, 20, 2):
        assert tfnn.models.resnet(shape, 4, depth=8, width=4)(np.zeros((2, *shape), "float32")).shape == (2, 4)


@pytest.mark.parametrize(
    "shape, depth, message", [((8, 8), 8, "input_shape"), ((8, 8, 1), 10, "depth=10"), ((8, 8, 1), 2, "depth=2")]
)
def test_resnet_refuses(shape, depth, message):
    with pytest.raises(ValueError, match=message):
        tfnn.models.resnet(shape, 10, depth)


def test_add_l2_adds_lambda_times_the_squares_of_the_kernels():
    model = tfnn.models.add_l2(tfnn.models.resnet((8, 8, 1), 10, depth=8, width=4), 0.01)
    kernels = [w for w in model.trainable_weights if "kernel" in w.path]
    expected = 0.01 * sum(float((np.asarray(w, np.float64) ** 2).sum()) for w in kernels)
    np.testing.assert_allclose(float(sum(model.losses)), expected, rtol=1e-5)
    assert len(kernels) == 10 and len(model.losses) == 10


def test_add_l2_refuses_a_negative_strength():
    with pytest.raises(ValueError, match="strength=-1"):
        tfnn.models.add_l2(tfnn.models.mlp((4,), 2), -1)


def test_add_l2_of_0_adds_nothing_and_replaces_nothing():
    assert tfnn.models.add_l2(tfnn.models.mlp((4,), 2), 0).losses == []
    regularised = tfnn.models.add_l2(tfnn.models.mlp((4,), 2), 0.1)
    assert len(tfnn.models.add_l2(regularised, 0).losses) == len(regularised.losses) == 3
    with pytest.raises(ValueError, match="would replace the regularizer of .*kernel"):
        tfnn.models.add_l2(tfnn.models.add_l2(tfnn.models.mlp((4,), 2), 0.1), 0.1)


def test_convnet_takes_any_image_shape_and_its_options():
    for shape in (8, 8, 1), (5, 7, 3), (1, 9, 2):
        assert tfnn.models.convnet(shape, 4, stages=(2, 2, 2, 2), hidden=3)(np.zeros((2, *shape), "float32")).shape == (2, 4)
    plain = tfnn.models.convnet((8, 8, 1), 10, normalize=False, activation="tanh", initializer=tfnn.initializers.GlorotNormal)
    assert not any(isinstance(layer, tfnn.layers.BatchNormalization) for layer in plain.layers)
    assert all(layer.use_bias for layer in convolutions(plain))
    assert isinstance(convolutions(plain)[0].kernel_initializer, tfnn.initializers.GlorotNormal)
    with pytest.raises(ValueError, match="input_shape"):
        tfnn.models.convnet((8, 8), 10)


def test_convnet_puts_batch_norm_between_convolution_and_activation():
    names = [type(layer).__name__ for layer in tfnn.models.convnet((8, 8, 1), 10, stages=(4,)).layers]
    assert names[1:7] == ["Conv2D", "BatchNormalization", "Activation"] * 2


def test_convnet_learns_digits(digits):
    model = tfnn.models.convnet((8, 8, 1), 10, stages=(8, 16), hidden=32, dropout=0.2)
    model.compile(tfnn.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = digits.train.x.astype("float32") / 16
    assert tfnn.fit(model, x, digits.train.y, epochs=6, verbose=0, seed=1).history["accuracy"][-1] > 0.9
