"""The mistakes of a classifier, the worst first, as a table and as a sheet of pictures."""

import csv
import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfnn import files
from tfnn.cli.pictures import enlarged

SIDE, GAP, LINE = 128, 8, 15  # pixels
COLUMNS, MOST = 6, 24  # pictures


def worst_first(probabilities, labels):
    """Rows of the examples that were taken for another class. First comes the one whose true class was least probable."""
    wrong = np.flatnonzero(probabilities.argmax(-1) != labels)
    return wrong[np.argsort(probabilities[wrong, labels[wrong]], kind="stable")]


def write_table(path, rows, part, probabilities, names):
    """Writes a `.csv` file with a line for each mistake."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["file", "class", "taken for", "probability", "of the true class"])
    for row in rows:
        true, taken = part.y[row], probabilities[row].argmax()
        numbers = [f"{probabilities[row, label]:.6f}" for label in (taken, true)]
        table.writerow([part.files[row] if part.files else f"test image {row}", names[true], names[taken], *numbers])
    files.write(path, text.getvalue().encode())


def sheet(rows, part, probabilities, names):
    """The first of the mistakes side by side on white paper, each with its class and what it was taken for: uint8 (H, W, 3)."""
    rows = rows[:MOST]
    font = ImageFont.load_default(12)
    across = min(COLUMNS, len(rows))
    wide, tall = SIDE + GAP, SIDE + 2 * LINE + 2 * GAP
    paper = Image.new("RGB", (across * wide + GAP, -(-len(rows) // across) * tall + GAP), "white")
    draw = ImageDraw.Draw(paper)
    for place, row in enumerate(rows):
        left, top = GAP + place % across * wide, GAP + place // across * tall
        picture = Image.fromarray(enlarged(part.x[row : row + 1], SIDE)[0])
        picture.thumbnail((SIDE, SIDE))
        paper.paste(picture, (left + (SIDE - picture.width) // 2, top + SIDE - picture.height))
        taken = probabilities[row].argmax()
        lines = fitting(names[part.y[row]], "", font), fitting(f"as {names[taken]}", f" {probabilities[row, taken]:.0%}", font)
        for number, (line, ink) in enumerate(zip(lines, ("black", "firebrick"))):
            draw.text((left, top + SIDE + 2 + number * LINE), line, fill=ink, font=font)
    return np.asarray(paper)


def fitting(name, more, font):
    """A name, cut where it would be wider than its picture."""
    text = name + more
    while font.getlength(text) > SIDE and name:
        name = name[:-1]
        text = f"{name}…{more}"
    return text
