"""The lecture's recipe, which `tfnn train` follows, as a few calls that any program can make."""

import pathlib

import keras

import tfnn
from tfnn.cli.reading import read_model
from tfnn.cli.threads import intra_op_threads
from tfnn.serving.checks import gives_probabilities

MODELS = ("resnet", "mlp")
OPTIMIZERS = {
    "sgd": tfnn.optimizers.SGD,
    "momentum": lambda rate: tfnn.optimizers.SGD(rate, momentum=0.9),
    "nesterov": lambda rate: tfnn.optimizers.SGD(rate, momentum=0.9, nesterov=True),
}


def compiled_model(options, data):
    """The model of `options.model`, standardised on the training part, with L2, schedule and optimizer."""
    rate = tfnn.schedules.Cosine(options.learning_rate, options.epochs)
    if options.warmup:
        rate = tfnn.schedules.Warmup(rate, options.warmup)
    steps_per_epoch = -(-len(data.train.y) // options.batch_size)
    return compiled(options, data, tfnn.schedules.InEpochs(rate, steps_per_epoch))


def compiled(options, data, learning_rate):
    """The same model with a learning rate of one's own."""
    keras.utils.set_random_seed(options.seed)
    model = build(options, data)
    tfnn.models.add_l2(model, options.l2)
    model.compile(OPTIMIZERS[options.optimizer](learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def build(options, data):
    classes = len(data.class_names)
    if options.model not in MODELS:
        return loaded(options.model, data.image_shape, classes)
    standardize = tfnn.layers.Standardize(axis=-1)
    standardize.adapt(data.train.x)
    if options.model == "mlp":
        return tfnn.models.mlp(data.image_shape, classes, standardize=standardize)
    return tfnn.models.resnet(data.image_shape, classes, options.depth, options.width, standardize=standardize)


def threads(options, data):
    """How many threads an operation should take; 0 leaves it to TensorFlow. The rule is for convolutions."""
    return 0 if options.model == "mlp" else intra_op_threads(options.batch_size, data.image_shape)


def loaded(path, image_shape, classes):
    if not pathlib.Path(path).is_file():
        raise ValueError(f"--model {path}: neither {' nor '.join(MODELS)} nor a .keras file that exists")
    model = read_model(path)
    if model.input_shape[1:] != image_shape or model.output_shape[1:] != (classes,):
        raise ValueError(
            f"--model {path}: takes {model.input_shape[1:]} and gives {model.output_shape[1:]}, but the data needs"
            f" {image_shape} and ({classes},)"
        )
    if not gives_probabilities(model):
        raise ValueError(f"--model {path}: its outputs are no probabilities; it must end in a softmax")
    return model


def train(model, data, options, callbacks=(), verbose=0, resume=None):
    growth = [tfnn.callbacks.BatchSizeScheduler(options.grow_batch)] if options.grow_batch else []
    return tfnn.fit(
        model,
        data.train.x,
        data.train.y,
        options.batch_size,
        options.epochs,
        verbose,
        [*growth, *callbacks],
        validation_data=(data.validation.x, data.validation.y),
        seed=options.seed,
        resume=resume,
    )
