"""`tfnn augment`: the contact sheet."""

import numpy as np
import pytest
import tensorflow as tf

from tests.cli.test_cli import refused
from tfnn.cli import main
from tfnn.cli.augment import GAP, chosen

STILL = ["--rotation", "0", "--translation", "0", "--zoom", "0"]


def drawn(tmp_path, *arguments):
    path = tmp_path / "sheet.png"
    assert main(["augment", "--out", str(path), *map(str, arguments)]) == 0
    return tf.io.decode_png(path.read_bytes()).numpy()


def cells(picture, row, side=64):
    """The pictures of one row: the original, then its copies."""
    top = GAP + row * (side + GAP)
    lefts = [GAP, *range(GAP + side + GAP + 4 * GAP, picture.shape[1] - side, side + GAP)]
    return [picture[top : top + side, left : left + side] for left in lefts]


def test_the_sheet_shows_originals_of_each_class_and_copies_that_all_differ(tmp_path, capsys, digits):
    picture = drawn(tmp_path)
    assert "sheet.png: 10 images of digits and 8 copies of each, 632 × 684 pixels" in capsys.readouterr().out
    part = chosen(digits.train, 10, seed=1)
    assert part.y.tolist() == list(range(10))
    for row in range(10):
        original, *copies = cells(picture, row)
        expected = np.round(part.x[row] * 255.0 / 16).repeat(8, 0).repeat(8, 1)
        np.testing.assert_array_equal(original, expected)
        assert len({cell.tobytes() for cell in (original, *copies)}) == 9


def test_the_same_seed_draws_the_same_sheet(tmp_path):
    sheets = [drawn(tmp_path, "--seed", seed, "--images", 3) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(sheets[0], sheets[1])
    assert not np.array_equal(sheets[0], sheets[2])


def test_strength_0_leaves_images_as_they_are(tmp_path):
    for row in range(3):
        original, *copies = cells(drawn(tmp_path, *STILL, "--images", 3, "--copies", 2), row)
        assert all(np.array_equal(copy, original) for copy in copies) and len(copies) == 2


SHARES = "brightness", "contrast", "noise", "erasing", "shear"
OPTIONS = [["--flip", "horizontal"], *([f"--{name}", 0.5] for name in SHARES), ["--mixup", 1], ["--cutmix", 1]]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option[0])
def test_every_option_does_something(tmp_path, option):
    picture = drawn(tmp_path, *STILL, *option, "--images", 4, "--copies", 4)
    assert any(not np.array_equal(copy, cells(picture, row)[0]) for row in range(4) for copy in cells(picture, row)[1:])


def test_colour_images_of_a_folder(tmp_path):
    for name in "ab":
        (tmp_path / "data" / name).mkdir(parents=True)
        for index in range(6):
            pixels = np.random.RandomState(index).randint(0, 256, (20, 30, 3)).astype(np.uint8)
            (tmp_path / "data" / name / f"{index}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    picture = drawn(tmp_path, "--data", tmp_path / "data", "--images", 2, "--copies", 1)
    assert picture.shape[2] == 3 and 30 * 2 * 2 < picture.shape[1] < 64 * 3


def test_mistakes_are_told_in_one_line_and_leave_nothing(tmp_path, capsys):
    out = tmp_path / "sheet.png"
    (tmp_path / "folder.png").mkdir()
    for arguments, message in (
        (["--out", tmp_path / "sheet.jpg"], "sheet.jpg: the picture is written as .png"),
        (["--out", tmp_path / "no" / "sheet.png"], "sheet.png: cannot be written: No such file"),
        (["--out", tmp_path / "folder.png"], "folder.png: cannot be written: Is a directory"),
        (["--out", out, "--images", 0], "--images 0 must be between 1 and 100"),
        (["--out", out, "--copies", 101], "--copies 101"),
        (["--out", out, "--seed", -1], "--seed -1"),
        (["--out", out, "--zoom", 1.5], "--zoom 1.5 must be between 0 and 1"),
        (["--out", out, "--noise", "nan"], "--noise nan"),
        (["--out", out, "--mixup", 0], "--mixup 0 must be positive"),
        (["--out", out, "--data", "nothing"], "nothing: neither a data set"),
    ):
        assert message in refused(capsys, "augment", *arguments)
        assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]
