"""The adapters by which Keras's own `fit` reads data."""

from tfnn.internals.lookup import imported, part


def adapter_for(source, class_weight=None):
    """What Keras reads a source of batches by; ValueError for what is none. Keras 3.12 to 3.15; else raises."""
    return imported("keras.src.trainers.data_adapters", "get_data_adapter")(source, class_weight=class_weight)


def first_batch(adapter):
    """The first batch, which Keras took from a generator. Keras 3.12 to 3.15; raises without `_first_batches`."""
    return part(adapter, "_first_batches")[0]


def signature_of(adapter):
    """The specs of a batch, once its dataset was asked for. Keras 3.12 to 3.15; None without `_output_signature`."""
    return getattr(adapter, "_output_signature", None)


def set_signature(adapter, signature):
    """Sets what `signature_of` gave, for the next dataset that is asked for. Keras 3.12 to 3.15."""
    adapter._output_signature = signature
