"""What an exported model has to know of the images that it was trained on."""

import keras

from tfnn.data import ink


def description(data):
    """The images of a data set as JSON, which `config.json` of a run holds: names of classes, value range, preparation."""
    prepare = data.prepare and data.prepare.__name__
    return {"class_names": list(data.class_names), "value_range": list(map(float, data.value_range)), "prepare": prepare}


def served(images, metrics):
    """Arguments of `tfnn.export` for a model that was trained on images of that description.

    Args:
        images: as `description` gives.
        metrics: the result of the run.
    """
    low, high = images["value_range"]
    return {
        "labels": images["class_names"],
        "preprocess": None if (low, high) == (0, 255) else keras.layers.Rescaling((high - low) / 255, low),
        "prepare": images["prepare"] and getattr(ink, images["prepare"]),
        "metrics": {name: value for name, value in metrics.items() if name not in ("bundle", "history", "batch_sizes")},
    }
