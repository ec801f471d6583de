"""One version of an exported model, as a runtime of MLServer."""

import asyncio
import logging

import tensorflow as tf
from mlserver import MLModel, ModelSettings
from mlserver.settings import ModelParameters
from mlserver.types import InferenceResponse, MetadataModelResponse, MetadataTensor, Parameters, ResponseOutput

from tfnn.data.pixels import FORMATS
from tfnn.serving import manifest
from tfnn.serving.server.refused import Refused
from tfnn.serving.server.served_function import ENCODED, Signature
from tfnn.serving.server.tensors import DATATYPES, NAMES, decode

log = logging.getLogger(__name__)

FIRST = "serving_default", "image_bytes"  # tried before other signatures with the same inputs


class Model(MLModel):
    """Answers each request with the signature that has the request's inputs.

    Args:
        name: the name of the model.
        path: `NAME/VERSION`.
        batcher: a `Batcher`.
        limits: has the attributes `batch_size` and `max_pixels`, which hold for one request.

    Raises:
        ValueError: if the folder cannot be loaded, or was changed after the export.
    """

    def __init__(self, name, path, batcher, limits):
        super().__init__(ModelSettings(name=name, implementation=Model, parameters=ModelParameters(version=path.name)))
        self.batcher, self.limits = batcher, limits
        self.loaded = loaded(path)
        functions = self.loaded.signatures
        first = [name for name in FIRST if name in functions]
        self.signatures = {name: Signature(name, functions[name]) for name in [*first, *sorted(set(functions) - set(first))]}
        for signature in self.signatures.values():
            signature.warm_up()
        self.ready = True

    async def predict(self, payload):
        """Returns an InferenceResponse whose outputs hold numpy arrays.

        Raises:
            Refused: for a request that this model cannot answer.
        """
        signature, inputs, rows, pixels = await asyncio.to_thread(self.decoded, payload)
        answers = await self.batcher(signature, signature.kind(inputs), inputs, rows, pixels)
        if "ok" in answers and ENCODED in inputs and not answers["ok"].any():
            raise Refused(f"{ENCODED}: no readable {FORMATS} image")
        asked = [output.name for output in payload.outputs or ()] or list(answers)
        outputs = [
            ResponseOutput.model_construct(name=name, shape=list(array.shape), datatype=NAMES[array.dtype], data=array)
            for name, array in ((name, answers[name]) for name in asked)
        ]
        return InferenceResponse.model_construct(
            model_name=self.name, model_version=self.version, id=payload.id, outputs=outputs
        )

    def decoded(self, payload):
        """Checks a request, and returns (signature, {name: array}, number of examples, number of pixels)."""
        names = [tensor.name for tensor in payload.inputs]
        if len(set(names)) < len(names):
            raise Refused(f"an input is given twice: {', '.join(names)}")
        for tensor in payload.inputs:
            if tensor.datatype not in DATATYPES:
                raise Refused(f"{tensor.name} has datatype {tensor.datatype}, which is none of {', '.join(DATATYPES)}")
        signature = self.signature(payload)
        for output in payload.outputs or ():
            if output.name not in signature.outputs:
                raise Refused(f"{signature.name} has no output {output.name}; it gives {', '.join(signature.outputs)}")
        inputs = {tensor.name: array(tensor) for tensor in payload.inputs}
        rows = signature.rows(inputs, self.limits.batch_size)
        return signature, inputs, rows, signature.pixels(inputs, self.limits.max_pixels)

    def signature(self, payload):
        """The signature that the request's parameters name, else the first that takes exactly the given inputs."""
        asked = parameter(payload, "signature_name")
        if asked is not None and asked not in list(self.signatures):  # it may be unhashable
            raise Refused(f"no signature {asked}; there are {', '.join(self.signatures)}")
        given = {tensor.name: tensor.datatype for tensor in payload.inputs}
        candidates = [self.signatures[asked]] if asked is not None else list(self.signatures.values())
        for signature in candidates:
            if given == {name: datatype for name, (datatype, _) in signature.inputs.items()}:
                return signature
        inputs = ", ".join(f"{name} {datatype}" for name, datatype in given.items()) or "no inputs"
        raise Refused(f"{inputs} given; wanted {' or '.join(map(str, candidates))}")

    async def metadata(self):
        return MetadataModelResponse(
            name=self.name,
            versions=[self.version],
            platform="tensorflow_savedmodel",
            inputs=described(self.signatures, "inputs"),
            outputs=described(self.signatures, "outputs"),
        )


def loaded(path):
    """Loads the SavedModel, after comparing its files with their checksums if it has any."""
    if (path / manifest.NAME).is_file():
        manifest.verified(path)
    else:
        log.warning("%s: no %s, so its files are not checked", path, manifest.NAME)
    try:
        return tf.saved_model.load(str(path))
    except Exception as error:  # TensorFlow raises many kinds of errors for damaged files
        raise ValueError(f"this SavedModel cannot be loaded ({' '.join(str(error).split())[:200]})") from None


def parameter(item, name):
    """A parameter of a request or a tensor, or None."""
    return getattr(item.parameters, name, None)


def array(tensor):
    """The numpy array of an input. Texts that stand for images are base64, because JSON cannot hold bytes."""
    data = getattr(tensor.data, "root", tensor.data)
    texts = isinstance(data, list) and all(isinstance(one, str) for one in data)
    encoded = parameter(tensor, "content_type") == "base64" or (tensor.name == ENCODED and texts)
    return decode(tensor.name, tensor.datatype, tensor.shape, data, encoded)


def described(signatures, side):
    """The tensors of all signatures. One that several signatures share is listed once, with all their names."""
    found = {}
    for signature in signatures.values():
        for name, (datatype, shape) in getattr(signature, side).items():
            found.setdefault((name, datatype, tuple(shape)), []).append(signature.name)
    return [
        MetadataTensor(name=name, datatype=datatype, shape=shape, parameters=Parameters(signature_name=", ".join(names)))
        for (name, datatype, shape), names in found.items()
    ]
