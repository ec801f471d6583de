"""The steps of `tfnn transfer`, as a few calls that any program can make."""

import pathlib

import keras

import tfnn
from tfnn import transfer
from tfnn.cli import augmentation_options, recipe
from tfnn.cli.reading import read_data, read_labels
from tfnn.data import balanced_class_weight, rgb
from tfnn.data.load import NAMED
from tfnn.transfer.weights import source

OPTIMIZERS = {"adam": tfnn.optimizers.Adam} | recipe.OPTIMIZERS
WEIGHTS = "imagenet", "none"


def find_weights(options, known):
    """Refuses weights that cannot be had.

    ImageNet's are downloaded now if the size of the images is known without the data.
    """
    if options.weights not in WEIGHTS:
        source(options.weights)
    elif options.weights == "imagenet" and (options.image_size or of_files(options.data)):
        size = options.image_size or known.input_size
        known.imagenet((size, size, 3))


def of_files(data):
    """Tells whether `--data` is images in files, which are read at any size; arrays have a size of their own."""
    return data not in NAMED and (pathlib.Path(data).is_dir() or pathlib.Path(data).suffix.lower() == ".csv")


def read(options, known):
    """The data in the form that the backbone takes.

    Without --image-size, files are read at the backbone's own size. Arrays keep theirs, or get the smallest that it takes.
    """
    size = options.image_size or known.input_size
    data = read_data(options, image_size=(size, size), class_names=read_labels(options.labels))
    if not options.image_size and not data.train.files:
        return rgb(data, tuple(max(known.minimum_size, side) for side in data.image_shape[:2]))
    options.image_size = size
    return rgb(data, (size, size))


def examples(part):
    """The images and labels of a part, as `tfnn.fit` reads them."""
    return part.x, part.y


def compiled_model(options, data):
    keras.utils.set_random_seed(options.seed)
    weights = None if options.weights == "none" else options.weights
    classes = len(data.class_names)
    model = transfer.classifier(options.backbone, classes, data.image_shape, weights, dropout=options.dropout)
    steps_per_epoch = -(-len(data.train.y) // options.batch_size)
    rate = tfnn.schedules.InEpochs(tfnn.schedules.Cosine(options.learning_rate, options.epochs), steps_per_epoch)
    model.compile(OPTIMIZERS[options.optimizer](rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    transfer.layerwise_decay(model, options.stage_decay)
    return model


def train_stages(model, data, options, callbacks=(), verbose=0, resume=None):
    x, y = examples(data.train)
    return tfnn.fit(
        model,
        x,
        y,
        options.batch_size,
        options.epochs,
        verbose,
        [transfer.Unfreeze(options.plan), *callbacks],
        validation_data=examples(data.validation),
        class_weight=balanced_class_weight(data.train.y, data.class_names) if options.class_weight == "balanced" else None,
        augment=augmentation_options.steps_of(options, data.value_range) or None,
        seed=options.seed,
        resume=resume,
        cache=cache(options),
    )


def cache(options):
    """The `FeatureCache` for the time while the head is trained alone, or None."""
    if options.cache == "none" or 0 not in options.plan.values():
        return None
    directory = None if options.cache == "memory" else options.cache
    return transfer.FeatureCache(directory, options.copies or None, options.cache_size * 10**6)
