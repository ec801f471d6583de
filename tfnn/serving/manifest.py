"""`bundle.json`: a bundle's inputs and outputs, how it was made, and checksums of all its files and of itself."""

import hashlib
import json

from tfnn.data.pixels import FORMATS

NAME = "bundle.json"
FORMAT = 1
MEANINGS = {
    "image": "images of one size, 0 to 255, of 1 to 4 channels: grey, RGB, either with alpha",
    "image_bytes": f"encoded images, {FORMATS}; over REST as base64",
    "classes": "names, from the most to the least probable",
    "scores": "the probabilities of these names",
    "probabilities": "in the order of the labels",
    "ok": "whether the image could be read; where not, numbers are 0 and names empty",
    "embedding": "features of the input inside the network",
}


def describe(signatures, images):
    """{signature: {"inputs": ..., "outputs": ...}} of concrete functions; each tensor has a dtype, a shape and a meaning."""
    meanings = MEANINGS if images else {name: MEANINGS[name] for name in ("classes", "scores", "probabilities", "embedding")}

    def tensors(specs, raw):
        return {
            name: {"dtype": spec.dtype.name, "shape": list(spec.shape)}
            | ({"meaning": "preprocessed" if raw and name == "image" else meanings[name]} if name in meanings else {})
            for name, spec in specs.items()
        }

    return {
        name: {
            "inputs": tensors({spec.name: spec for spec in function.structured_input_signature[0]}, name == "raw"),
            "outputs": tensors(function.structured_outputs, name == "raw"),
        }
        for name, function in signatures.items()
    }


def write(folder, content):
    """Writes `bundle.json`, with the checksums of all other files in the folder."""
    files = {str(path.relative_to(folder)): digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    (folder / NAME).write_text(rendered({"format": FORMAT} | content | {"files": files}), encoding="utf-8")


def verified(folder):
    """Reads `bundle.json`, and compares it and every file that it names with their checksums.

    Args:
        folder: `NAME/VERSION`.

    Raises:
        ValueError: if there is no `bundle.json`, or a file is missing or was changed.

    Example:
        >>> about = tfnn.serving.verified(tfnn.serving.newest(pathlib.Path("saved_models/digits")))
    """
    try:
        text = (folder / NAME).read_text(encoding="utf-8")
        content = json.loads(text)
        stored = content.pop("sha256")
        content["files"].items()
    except OSError:
        raise ValueError(f"{folder}: no {NAME}, which tfnn.export writes") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{folder}: damaged, {NAME} cannot be read") from None
    if text != rendered(content) or stored != checksum(content):
        raise ValueError(f"{folder}: damaged, {NAME} is not as it was written")
    if content["format"] != FORMAT:
        raise ValueError(f"{folder}: {NAME} has format {content['format']}, this tfnn reads {FORMAT}")
    for name, wanted in content["files"].items():
        try:
            found = digest(folder / name)
        except OSError as error:
            raise ValueError(f"{folder}: damaged, {name}: {error.strerror}") from None
        if found != wanted:
            raise ValueError(f"{folder}: damaged, {name} is not as it was written")
    return content


def rendered(content):
    """The text of `bundle.json`; its own checksum comes last."""
    return json.dumps(content | {"sha256": checksum(content)}, indent=1, ensure_ascii=False) + "\n"


def checksum(content):
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
