"""What `tfnn train` does with its options: the lecture's recipe as a few calls that any program can make."""

import pathlib

import keras
import numpy as np

import tfnn

MODELS = ("resnet", "mlp")
OPTIMIZERS = {
    "sgd": lambda rate: tfnn.optimizers.SGD(rate),
    "momentum": lambda rate: tfnn.optimizers.SGD(rate, momentum=0.9),
    "nesterov": lambda rate: tfnn.optimizers.SGD(rate, momentum=0.9, nesterov=True),
}


def compiled_model(options, data):
    """The model of `options.model`, standardised on the training part, with L2, schedule and optimizer."""
    keras.utils.set_random_seed(options.seed)
    model = build(options, data)
    tfnn.models.add_l2(model, options.l2)
    rate = tfnn.schedules.Cosine(options.learning_rate, options.epochs)
    if options.warmup:
        rate = tfnn.schedules.Warmup(rate, options.warmup)
    steps_per_epoch = -(-len(data.train.y) // options.batch_size)
    optimizer = OPTIMIZERS[options.optimizer](tfnn.schedules.InEpochs(rate, steps_per_epoch))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
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


def loaded(path, image_shape, classes):
    if not (path.endswith(".keras") and pathlib.Path(path).is_file()):
        raise ValueError(f"--model {path}: neither {' nor '.join(MODELS)} nor a .keras file that exists")
    model = keras.saving.load_model(path, compile=False)
    if model.input_shape[1:] != image_shape or model.output_shape[1:] != (classes,):
        raise ValueError(
            f"--model {path}: takes {model.input_shape[1:]} and gives {model.output_shape[1:]}, but the data needs"
            f" {image_shape} and ({classes},)"
        )
    return model


def train(model, data, options, callbacks=(), verbose=0):
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
    )


def accuracy(model, part, batch_size=256):
    """The share of `part` that `model` classifies rightly; eagerly, as one pass is over before a trace would be made."""
    starts = range(0, len(part.y), batch_size)
    classes = [np.argmax(model(part.x[start : start + batch_size], training=False), -1) for start in starts]
    return float(np.mean(np.concatenate(classes) == part.y))


def interval(share, n, z=1.96):
    """The 95% interval of a share of n, by Wilson's score (1927): right near 0 and 1, where share ± z σ is not."""
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)
