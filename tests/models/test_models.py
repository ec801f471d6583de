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


@pytest.mark.parametrize("preactivation", [False, True])
@pytest.mark.parametrize("depth, paper", [(20, "0.27"), (32, "0.46"), (56, "0.85"), (110, "1.7")])
def test_resnet_has_the_parameters_of_the_paper(depth, paper, preactivation):
    """In millions, without the projections, which the paper's CIFAR networks lack (He et al. 2016, table 6)."""
    model = tfnn.models.resnet((32, 32, 3), 10, depth, preactivation=preactivation)
    count = lambda layers: sum(int(np.prod(w.shape)) for layer in layers for w in layer.trainable_weights)
    blocks = [layer for layer in model.layers if isinstance(layer, tfnn.layers.ResidualBlock)]
    projections = count(layer for block in blocks for layer in block.shortcut)
    assert projections == 16 * 32 + 32 * 64 + (0 if preactivation else 2 * 32 + 2 * 64)
    assert f"{(count([model]) - projections) / 1e6:.{len(paper) - 2}f}" == paper
    n, k, w = (depth - 2) // 6, 9, np.array([16, 32, 64])
    convolutions = k * 3 * 16 + k * (16 * 16 + 16 * 32 + 32 * 64) + k * (2 * n - 1) * (w**2).sum()
    norms = 2 * 16 + 2 * 2 * n * w.sum()
    if preactivation:  # each first norm of a stage stands at its input
        norms += 2 * (16 + 16 + 32 + 64 - w.sum() - 16)
    assert count([model]) - projections == convolutions + norms + 64 * 10 + 10


@pytest.mark.parametrize("options", [{}, {"preactivation": True}, {"normalize": False, "dropout": 0.2}])
def test_resnet_takes_any_image_shape(options):
    for shape in (8, 8, 1), (5, 7, 3), (33, 20, 2), (1, 1, 1):
        model = tfnn.models.resnet(shape, 4, depth=8, width=4, **options)
        assert model(np.zeros((2, *shape), "float32"), training=True).shape == (2, 4)
    anywhere = tfnn.models.resnet((None, None, 1), 4, depth=8, width=4, **options)
    assert anywhere(np.zeros((2, 6, 9, 1), "float32")).shape == (2, 4)


@pytest.mark.parametrize("preactivation", [False, True])
def test_deep_resnet_without_norm_starts_bounded_and_learns(preactivation, digits):
    """As large as its input, where branches that start like other kernels let it grow from block to block."""
    model = tfnn.models.resnet((8, 8, 1), 10, 110, 4, preactivation, normalize=False)
    x, y = digits.train.x[:64].astype("float32") / 16, digits.train.y[:64]
    features = lambda: keras.Model(model.input, model.layers[-2].output)(x)
    assert 1e-3 < np.std(features()) < 10 and np.abs(features()).max() < 100
    before = model.get_weights()
    for layer in convolutions(model):
        layer.kernel.assign(tfnn.initializers.HeNormal()(layer.kernel.shape))
    assert np.std(features()) > 1e3
    model.set_weights(before)
    model.compile(tfnn.optimizers.SGD(0.003, momentum=0.9), "sparse_categorical_crossentropy")
    losses = tfnn.fit(model, x, y, 32, epochs=3, verbose=0, seed=1).history["loss"]
    assert losses[-1] < losses[0]


def test_resnet_without_preactivation_and_with_it_order_their_layers_as_the_papers_do():
    names = lambda **options: [type(layer).__name__ for layer in tfnn.models.resnet((8, 8, 1), 10, 8, 4, **options).layers]
    activate, ends = ["BatchNormalization", "Activation"], ["GlobalAveragePooling2D", "Dense"]
    assert names() == ["InputLayer", "Conv2D", *activate, *["ResidualBlock"] * 3, *ends]
    assert names(preactivation=True) == ["InputLayer", "Conv2D", *["PreactivationBlock"] * 3, *activate, *ends]


MODELS = {
    "mlp": lambda **options: tfnn.models.mlp((6, 6, 1), 3, (8, 8), **options),
    "convnet": lambda **options: tfnn.models.convnet((6, 6, 1), 3, (4, 4), 8, **options),
    "resnet": lambda **options: tfnn.models.resnet((6, 6, 1), 3, 14, 4, **options),
    "resnet, preactivation": lambda **options: tfnn.models.resnet((6, 6, 1), 3, 14, 4, True, **options),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_have_their_options_in_the_same_words(name):
    of = lambda model, kind: [layer for layer in model._flatten_layers() if isinstance(layer, kind)]
    hidden = lambda model: of(model, (keras.layers.Conv2D, keras.layers.Dense))[:-1]
    for normalize in True, False:
        model = MODELS[name](normalize=normalize, dropout=0.25, activation="tanh", initializer=tfnn.initializers.LecunNormal)
        assert bool(of(model, tfnn.layers.BatchNormalization)) == normalize
        assert {layer.rate for layer in of(model, tfnn.layers.Dropout)} == {0.25}
        used = {layer.activation.__name__ for layer in model._flatten_layers() if hasattr(layer, "activation")}
        assert used - {"linear", "softmax"} == {"tanh"}
        kinds = {type(layer.kernel_initializer) for layer in hidden(model)}
        assert kinds - {tfnn.initializers.Zeros} == {tfnn.initializers.LecunNormal}
        assert len({id(layer.kernel_initializer) for layer in hidden(model)}) == len(hidden(model))
    biased = [layer for layer in hidden(MODELS[name](normalize=True)) if layer.use_bias]
    assert len(biased) == (name == "convnet")  # its hidden layer is not normalised
    assert all(layer.use_bias for layer in hidden(MODELS[name](normalize=False)))


def test_mlp_puts_batch_norm_before_the_activation_and_dropout_behind_it():
    names = lambda **options: [type(layer).__name__ for layer in tfnn.models.mlp((4,), 3, (8, 8), **options).layers[2:-1]]
    assert names() == ["Dense"] * 2
    assert names(normalize=True, dropout=0.5) == ["Dense", "BatchNormalization", "Activation", "Dropout"] * 2


@pytest.mark.parametrize("name", MODELS)
def test_dropout_acts_in_training_only(name):
    model, x = MODELS[name](dropout=0.5, normalize=False), np.random.RandomState(0).normal(size=(16, 6, 6, 1)).astype("float32")
    for layer in convolutions(model):  # branches that start at 0 would hide it
        layer.kernel.assign(tfnn.initializers.HeNormal(seed=1)(layer.kernel.shape))
    np.testing.assert_array_equal(model(x, training=False), model(x, training=False))
    assert not np.allclose(model(x, training=True), model(x, training=True))


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
