"""Choose the device of a run by name, as a `tf.distribute` strategy; for now a strategy has one device."""

import tensorflow as tf

NAMES = ("auto", "cpu", "gpu", "tpu")


def strategy(name: str = "auto") -> tf.distribute.Strategy:
    """A strategy of one device; build and compile the model in its `scope()`.

    Args:
        name: "cpu", "gpu" (the first one), "tpu" (the one of this machine), or "auto": a TPU if there is one, otherwise
            TensorFlow's own choice, which is a GPU before a CPU.

    Raises:
        ValueError: for an unknown name, or for a device that TensorFlow does not find here.

    Example:
        >>> with tfnn.distribute.strategy("auto").scope():
        ...     model = tfnn.models.resnet((8, 8, 1), 10)
    """
    if name not in NAMES:
        raise ValueError(f"strategy {name!r} must be one of {', '.join(NAMES)}")
    seen = {device.device_type for device in tf.config.list_physical_devices()}
    if name not in ("auto", "cpu") and name.upper() not in seen:
        raise ValueError(f"strategy {name!r}: TensorFlow sees no {name.upper()} here, only {', '.join(sorted(seen))}")
    if name == "tpu" or (name == "auto" and "TPU" in seen):
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    if name == "auto":
        return tf.distribute.get_strategy()
    return tf.distribute.OneDeviceStrategy(f"/{name}:0")


def device_type(strategy: tf.distribute.Strategy) -> str:
    """The type of device on which the steps of a strategy run: "TPU", "GPU" or "CPU".

    Example:
        >>> tfnn.distribute.device_type(tfnn.distribute.strategy("cpu"))  # 'CPU'
    """
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return "TPU"
    if isinstance(strategy, tf.distribute.OneDeviceStrategy):
        return tf.DeviceSpec.from_string(strategy.extended.worker_devices[0]).device_type
    return "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
