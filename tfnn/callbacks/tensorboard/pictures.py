"""Draws batches, weights and the confusion matrix as pictures."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CELL, MARGIN, FONT = 25, 8, 11  # pixels; TensorBoard shrinks pictures wider than 320, which makes text illegible


def of_inputs(x, limit):
    """{name: uint8 (B, H, W, C)} of the inputs that are images, at most `limit` of each.

    uint8 and numbers in [0, 1] are shown as they are; others are stretched to the range of the batch.
    """
    parts = x if isinstance(x, dict) else dict(enumerate(x)) if isinstance(x, (list, tuple)) else {"": x}
    images = {str(name): np.asarray(part)[:limit] for name, part in parts.items() if part.shape.rank in (3, 4)}
    images = {name: part[..., None] if part.ndim == 3 else part for name, part in images.items()}
    return {name: pixels(part) for name, part in images.items() if part.shape[-1] in (1, 3, 4)}


def pixels(images):
    if images.dtype == np.uint8:
        return images
    images = np.nan_to_num(images.astype(np.float64))
    low, high = images.min(), images.max()
    if low < 0 or high > 1:
        images = (images - low) / ((high - low) or 1)
    return np.round(255 * images).astype(np.uint8)


def of_weight(weight):
    """A weight as uint8 (B, H, W, C), laid out as in Keras's callback, or None if it has too many axes."""
    weight = np.squeeze(np.asarray(weight, np.float64))
    if weight.ndim == 1:
        weight = weight[None, :, None, None]
    elif weight.ndim == 2:
        weight = (weight.T if weight.shape[0] > weight.shape[1] else weight)[None, :, :, None]
    elif weight.ndim == 3:
        weight = weight.transpose(2, 0, 1)[..., None]
    return pixels(weight) if weight.ndim == 4 and weight.shape[-1] in (1, 3, 4) else None


def counts(labels, outputs):
    """(classes, classes): how many examples of the row's class were taken for the column's class.

    Args:
        labels: classes (B,) or (B, 1), or their probabilities (B, classes).
        outputs: probabilities or logits (B, classes); or with two classes the probability of class 1, (B, 1).

    Raises:
        ValueError: for outputs of another form.
    """
    labels, outputs = np.asarray(labels), np.asarray(outputs)
    if outputs.ndim != 2:
        raise ValueError(f"a confusion matrix needs outputs (B, classes), got shape {outputs.shape}: set confusion_freq=0")
    classes = max(2, outputs.shape[1])
    predicted = outputs.argmax(-1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0.5).astype(int)
    true = labels.argmax(-1) if labels.ndim == 2 and labels.shape[1] > 1 else labels.reshape(len(outputs)).astype(int)
    return np.bincount(classes * true + predicted, minlength=classes**2).reshape(classes, classes)


def confusion(matrix, names):
    """The matrix as uint8 (1, H, W, 3): a row for each true class, a column for each predicted one, shaded by share."""
    font = ImageFont.load_default(FONT)
    wide = max(int(font.getlength(name)) for name in names) + 4
    left = top = wide + 3 * MARGIN + FONT
    side = CELL * len(matrix)
    image = Image.new("RGB", (left + side + MARGIN, top + side + MARGIN), "white")
    draw = ImageDraw.Draw(image)
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    for (row, column), share in np.ndenumerate(shares):
        x, y = left + CELL * column, top + CELL * row
        shade = tuple(int(255 - share * (255 - dark)) for dark in (8, 48, 107))
        draw.rectangle([x, y, x + CELL - 1, y + CELL - 1], fill=shade, outline="lightgrey")
        middle, ink = (x + CELL / 2, y + CELL / 2), "white" if share > 0.5 else "black"
        if matrix[row, column]:
            draw.text(middle, short(matrix[row, column]), fill=ink, font=font, anchor="mm")
    for index, name in enumerate(names):
        draw.text((left - MARGIN / 2, top + CELL * (index + 0.5)), name, fill="black", font=font, anchor="rm")
        image.paste(upright(name, wide, font), (int(left + CELL * (index + 0.5) - 9), top - wide - MARGIN // 2))
    draw.text((left + side / 2, MARGIN), "predicted", fill="black", font=font, anchor="mm")
    image.paste(upright("true", 60, font), (2, top + side // 2 - 30))
    return np.asarray(image)[None]


def upright(text, length, font):
    """An image of `text` that reads upwards."""
    image = Image.new("RGB", (length, 18), "white")
    ImageDraw.Draw(image).text((0, 9), text, fill="black", font=font, anchor="lm")
    return image.rotate(90, expand=True)


def short(count):
    """At most four characters: 12k for 12,345."""
    for factor, unit in (10**6, "M"), (10**3, "k"):
        if count >= 10 * factor:
            return f"{count // factor}{unit}"
    return str(count)
