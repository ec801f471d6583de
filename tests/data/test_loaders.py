"""Archives, folders, known sets, and what is refused."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tfnn.data.pixels import decode, resize, with_channels
from tfnn.data.split import stratified


def png(image):
    return tf.io.encode_png(image).numpy()


def arrays(**changes):
    random = np.random.RandomState(0)
    whole = {
        "x_train": random.randint(0, 256, (40, 5, 6)).astype(np.uint8),
        "y_train": np.arange(40) % 4,
        "x_test": random.randint(0, 256, (8, 5, 6)).astype(np.uint8),
        "y_test": np.arange(8) % 4,
    }
    return {name: array for name, array in {**whole, **changes}.items() if array is not None}


def saved(tmp_path, **changes):
    np.savez(tmp_path / "set.npz", **arrays(**changes))
    return tmp_path / "set.npz"


def test_archive(tmp_path):
    data = tfnn.data.archive(saved(tmp_path, class_names=np.array(["a", "b", "c", "d"])))
    assert data.name == "set" and data.class_names == ("a", "b", "c", "d") and data.image_shape == (5, 6, 1)
    assert len(data.train.y) == 36 and len(data.validation.y) == 4 and len(data.test.y) == 8
    assert data.value_range == (0, 255)


def test_labels_that_do_not_count_from_0_are_renumbered(tmp_path):
    data = tfnn.data.archive(saved(tmp_path, y_train=10 * (np.arange(40) % 2 + 1), y_test=np.full((8, 1), 20)))
    assert data.class_names == ("10", "20") and set(data.train.y) == {0, 1} and set(data.test.y) == {1}


@pytest.mark.parametrize("scale, expected", [(1.0, (0, 1)), (2.0, (-1.0, 2.0))])
def test_value_range_of_floats(tmp_path, scale, expected):
    x = np.random.RandomState(0).uniform(0, 1, (40, 5, 6)).astype(np.float32) * scale
    if scale > 1:
        x[:] = -1.0
        x[::2] = 2.0
    data = tfnn.data.archive(saved(tmp_path, x_train=x, x_test=x[:8]))
    assert data.value_range == expected


NAN = np.zeros((40, 5, 6), np.float32)
NAN[7, 0, 0] = np.nan


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"y_test": None}, "lacks y_test; it holds x_train, y_train, x_test"),
        ({"y_train": np.arange(39) % 4}, "train: 40 images but 39 labels"),
        ({"x_train": NAN}, "1 images hold NaN or infinity, the first is number 7"),
        ({"x_train": np.zeros((40, 30))}, r"shape \(N, height, width, channels\) with no 0, got \(40, 30\)"),
        ({"x_train": np.zeros((0, 5, 6)), "y_train": np.zeros(0, int)}, "with no 0"),
        ({"y_train": np.zeros(40, int), "y_test": np.zeros(8, int)}, "at least 2 classes, found 1: 0"),
        ({"y_test": np.full(8, 9)}, "y_test holds labels that y_train does not: 9"),
        ({"y_train": np.linspace(0, 1, 40)}, "labels must be integers"),
        ({"x_test": np.zeros((8, 5, 7), np.uint8)}, r"training images have the shape \(5, 6, 1\), test images \(5, 7, 1\)"),
        ({"class_names": np.array(["a"])}, "1 class_names for 4 labels"),
        ({"x_train": np.full((40, 5, 6), 2.5)}, "all pixels of the training images are 2.5"),
        ({"x_train": np.array([["a"] * 6] * 5 * 40).reshape(40, 5, 6)}, "images must be numbers"),
    ],
)
def test_archive_refuses(tmp_path, changes, message):
    path = saved(tmp_path, **changes)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}.*{message}"):
        tfnn.data.archive(path)


def test_archive_that_is_none(tmp_path):
    (tmp_path / "text.npz").write_text("no zip")
    with pytest.raises(ValueError, match="not a readable .npz"):
        tfnn.data.archive(tmp_path / "text.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(ValueError, match="it is a single array"):
        tfnn.data.archive(tmp_path / "one.npy")
    whole = saved(tmp_path).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:200] + b"damage" + whole[206:])
    with pytest.raises(ValueError, match="not a readable .npz"):
        tfnn.data.archive(tmp_path / "cut.npz")
    with pytest.raises(FileNotFoundError, match="no such file"):
        tfnn.data.archive(tmp_path / "none.npz")


@pytest.fixture
def pictures(tmp_path):
    """Two classes of ten: dark and light squares, in several formats, sizes and channels."""
    for label, level in ("dark", 40), ("light", 220):
        (tmp_path / "squares" / label).mkdir(parents=True)
        for index in range(10):
            grey = np.full((12 + index % 2, 12, 1), level, np.uint8)
            grey[index, 0] += 2  # no two files are the same
            path = tmp_path / "squares" / label / f"{index}"
            if index % 3 == 0:
                path.with_suffix(".jpg").write_bytes(tf.io.encode_jpeg(grey.repeat(3, -1)).numpy())
            else:
                path.with_suffix(".PNG").write_bytes(png(grey))
    (tmp_path / "squares" / "dark" / ".hidden.png").write_text("passed over")
    (tmp_path / "squares" / "dark" / "notes.txt").write_text("passed over")
    return tmp_path / "squares"


def test_folder(pictures):
    data = tfnn.data.folder(pictures)
    assert data.name == "squares" and data.class_names == ("dark", "light")
    assert data.image_shape == (64, 64, 3), "sizes differ, and some files are RGB"
    assert [len(part.y) for part in (data.train, data.validation, data.test)] == [14, 2, 4]
    for part in data.train, data.validation, data.test:
        for image, label, file in zip(part.x, part.y, part.files, strict=True):
            assert f"/{data.class_names[label]}/" in file
            np.testing.assert_allclose(image, (40, 220)[label], atol=3)


def test_folders_are_no_images_and_hidden_ones_are_passed_over(pictures):
    (pictures / "dark" / "more.png").mkdir()
    (pictures / "dark" / "1.PNG").rename(pictures / "dark" / "more.png" / "1.PNG")
    for hidden in pictures / ".git", pictures / "dark" / ".thumbnails":
        hidden.mkdir()
        (hidden / "1.png").write_text("no image")
    data = tfnn.data.folder(pictures)
    assert data.class_names == ("dark", "light") and len(in_part(data)) == 20
    assert str(pictures / "dark" / "more.png" / "1.PNG") in in_part(data)


def test_folder_keeps_a_common_size_and_grey(pictures):
    for file in [*pictures.rglob("*.jpg"), *pictures.rglob("*[13579].PNG")]:
        file.unlink()
    assert tfnn.data.folder(pictures).image_shape == (12, 12, 1)
    assert tfnn.data.folder(pictures, image_size=(6, 5)).image_shape == (6, 5, 1)


def test_folder_split_is_a_function_of_the_seed(pictures):
    first, again, other = (tfnn.data.folder(pictures, seed=seed).test.files for seed in (1, 1, 2))
    assert first == again != other


def test_a_corrupt_image_is_named_or_skipped(pictures):
    (pictures / "dark" / "5.PNG").write_bytes(b"\x89PNG no image")
    with pytest.raises(ValueError, match=r"dark/5.PNG: not a readable image; .* 1 of 20 files, .* skip_bad_images=True"):
        tfnn.data.folder(pictures)
    with pytest.warns(UserWarning, match="skipped .*5.PNG"):
        data = tfnn.data.folder(pictures, skip_bad_images=True)
    assert sum(len(part.y) for part in (data.train, data.validation, data.test)) == 19


def test_a_folder_of_unreadable_images_alone_is_refused(pictures):
    for file in [*pictures.rglob("*.jpg"), *pictures.rglob("*.PNG")]:
        file.write_bytes(b"no image")
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(ValueError, match="dark: 0 different images, light: 0"):
        tfnn.data.folder(pictures, skip_bad_images=True)


def test_all_unreadable_images_are_counted_and_the_first_named(pictures):
    bad = sorted((pictures / "dark").glob("[0-6].*"))
    for file in bad:
        file.write_bytes(b"no image")
    message = f"{', '.join(map(str, bad[:5]))} and 2 more: not readable images"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}; mend or remove 7 of 20 files, or pass skip_bad_images=True$"):
        tfnn.data.folder(pictures)
    with pytest.warns(UserWarning, match=re.escape(f"skipped 7 of 20 files: {message}")):
        tfnn.data.folder(pictures, skip_bad_images=True)


def in_part(data):
    return {file: part for part in ("train", "validation", "test") for file in getattr(data, part).files}


def test_copies_of_an_image_fall_into_one_part(pictures):
    alone = in_part(tfnn.data.folder(pictures))
    originals = sorted(file for file in pictures.rglob("*.*") if str(file) in alone)
    for file in originals:
        for copy in range(3):
            file.with_name(f"z{copy}{file.name}").write_bytes(file.read_bytes())
    parts = in_part(tfnn.data.folder(pictures))
    assert len(parts) == 80
    for file in originals:
        copies = {parts[str(file.with_name(f"z{copy}{file.name}"))] for copy in range(3)}
        assert copies == {parts[str(file)]} == {alone[str(file)]}, "and the others stay where they were"


def test_copies_do_not_make_a_class_large_enough(pictures):
    for file in (pictures / "light").glob("[2-9].*"):
        file.write_bytes((pictures / "light" / "1.PNG").read_bytes())
    with pytest.raises(ValueError, match=r"squares: light: 2 different images; .*copies count once"):
        tfnn.data.folder(pictures)


def test_classes_of_the_same_few_images_are_refused(pictures):
    for file in [*(pictures / "light").iterdir(), *(pictures / "dark").glob("[5-9].*")]:
        file.unlink()
    for file in (pictures / "dark").glob("[0-4].*"):
        (pictures / "light" / file.name).write_bytes(file.read_bytes())
    message = "squares: all classes together have 5 different images"
    with pytest.warns(UserWarning, match="5 images stand in several classes"), pytest.raises(ValueError, match=message):
        tfnn.data.folder(pictures)


def test_images_of_formats_that_are_not_read_are_told_in_one_line(pictures):
    for index in range(4):
        (pictures / "dark" / f"{index}.heic").write_bytes(b"of a phone")
        (pictures / "light" / f"{index}.TIF").write_bytes(b"of a scanner")
    message = (
        f"{pictures}: passed over 8 images of formats that are not read (.heic, .tif): dark/0.heic, dark/1.heic, dark/2.heic,"
        " dark/3.heic, light/0.TIF and 3 more; convert them to PNG or JPEG"
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$") as told:
        data = tfnn.data.folder(pictures)
    assert len(told) == 1 and len(in_part(data)) == 20


def test_jfif_is_read_as_the_jpeg_it_is(pictures):
    (pictures / "dark" / "0.jpg").rename(pictures / "dark" / "0.jfif")
    assert str(pictures / "dark" / "0.jfif") in in_part(tfnn.data.folder(pictures))


def test_an_image_in_two_classes_is_named(pictures):
    (pictures / "light" / "copy.PNG").write_bytes((pictures / "dark" / "1.PNG").read_bytes())
    with pytest.warns(UserWarning, match=r"in several classes: .*dark/1.PNG \(dark\), .*light/copy.PNG \(light\)$"):
        parts = in_part(tfnn.data.folder(pictures))
    assert parts[str(pictures / "dark" / "1.PNG")] == parts[str(pictures / "light" / "copy.PNG")]


def test_many_images_in_two_classes_are_one_line(pictures):
    for name in "1.PNG", "2.PNG", "4.PNG":
        (pictures / "light" / f"copy{name}").write_bytes((pictures / "dark" / name).read_bytes())
    with pytest.warns(UserWarning, match=r"^3 images stand in several classes: [^\n]* and 1 more$") as told:
        tfnn.data.folder(pictures)
    assert len(told) == 1


def test_the_order_of_classes_can_be_given(pictures):
    data = tfnn.data.folder(pictures, class_names=["light", "dark"])
    assert data.class_names == ("light", "dark")
    assert all(("light", "dark")[label] in file for label, file in zip(data.train.y, data.train.files))
    with pytest.raises(ValueError, match="squares: light are none of the classes dark, grey"):
        tfnn.data.folder(pictures, class_names=["dark", "grey"])
    with pytest.raises(ValueError, match="squares: grey: 0 different images, white: 0 .*; a class needs at least 3"):
        tfnn.data.folder(pictures, class_names=["dark", "grey", "light", "white"])
    with pytest.raises(ValueError, match="named twice among dark, light, dark"):
        tfnn.data.folder(pictures, class_names=["dark", "light", "dark"])


def test_classes_that_differ_in_case_only_are_refused(pictures):
    (pictures / "Dark").mkdir()
    with pytest.raises(ValueError, match="squares: the classes 'Dark' and 'dark' differ in case only; make them one"):
        tfnn.data.folder(pictures)
    for one, other in ("dark", "dark "), ("caf\u00e9", "cafe\u0301"):
        with pytest.raises(ValueError, match="differ in spaces, case or the form of their accents only; make them one"):
            tfnn.data.folder(pictures, class_names=[one, other])


def listed(pictures, *lines, head="path,label"):
    path = pictures.parent / "list.csv"
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def rows(pictures):
    return [f"squares/{file.parent.name}/{file.name},{file.parent.name}" for file in sorted(pictures.glob("*/[0-9]*"))]


def test_a_table_of_paths_and_labels(pictures):
    path = listed(pictures, *rows(pictures))
    data, same = tfnn.data.table(path, image_size=(12, 12)), tfnn.data.folder(pictures, image_size=(12, 12))
    assert data.name == "list" and data.class_names == same.class_names
    for part in "train", "validation", "test":
        np.testing.assert_array_equal(getattr(data, part).x, getattr(same, part).x)
        np.testing.assert_array_equal(getattr(data, part).y, getattr(same, part).y)
    assert tfnn.data.load(path).class_names == ("dark", "light")
    more = listed(pictures, *(f"x,{row.split(',')[1]}, {row.split(',')[0]}" for row in rows(pictures)), head="id,label,path")
    assert tfnn.data.table(more, class_names=["light", "dark"]).class_names == ("light", "dark")
    numbers = listed(pictures, *(row.replace(",dark", ",10").replace(",light", ",9") for row in rows(pictures)))
    assert tfnn.data.table(numbers).class_names == ("9", "10")


@pytest.mark.parametrize("delimiter", ["\t", ";"])
def test_tabs_and_semicolons_part_a_table_too(pictures, delimiter):
    lines = [delimiter.join(row.split(",")) + f"{delimiter}a, b" for row in rows(pictures)]
    data = tfnn.data.table(listed(pictures, *lines, head=delimiter.join(["path", "label", "note, long"])))
    assert data.class_names == ("dark", "light") and sum(len(part.y) for part in (data.train, data.validation, data.test)) == 20


def test_spaces_and_blank_lines_of_a_table_are_passed_over(pictures):
    lines = [row.replace(",", " , ") + " " for row in rows(pictures)]
    data = tfnn.data.table(listed(pictures, lines[0], "", *lines[1:], "   ", head="path , label "))
    assert data.class_names == ("dark", "light")


def test_table_refuses(pictures):
    good = rows(pictures)
    for lines, head, message in [
        ([], "path,label", "no rows below its first line"),
        ([], "", "its first line must name the columns path and label, it names none"),
        (good, "Path,Label", "must name the columns path and label, it names Path, Label"),
        ([*good, ",dark"], "path,label", "row 21 lacks a path"),
        ([*good, "squares/dark/1.PNG"], "path,label", "row 21 lacks a label"),
        (good[:10], "path,label", "at least 2 classes, found 1: dark"),
        ([*good, "squares/dark/1.PNG,Dark"], "path,label", "'Dark' and 'dark' differ in case only"),
        ([*good, "squares/dark/1.PNG,grey"], "path,label", "grey: 1 different images; a class needs at least 3"),
        ([*good, "squares/dark/notes.txt,dark"], "path,label", "notes.txt: not a readable image"),
    ]:
        with pytest.raises(ValueError, match=f"list.csv: .*{message}"):
            tfnn.data.table(listed(pictures, *lines, head=head))
    with pytest.raises(ValueError, match="list.csv: light are none of the classes dark, grey"):
        tfnn.data.table(listed(pictures, *good), class_names=["dark", "grey"])
    with pytest.raises(FileNotFoundError, match="list.csv: 2 of 22 files are missing: .*squares/a.png, .*squares/b.png"):
        tfnn.data.table(listed(pictures, *good, "squares/a.png,dark", "squares/b.png,light"))
    with pytest.raises(FileNotFoundError, match="list.csv: 1 of 21 files are missing"):
        tfnn.data.table(listed(pictures, *good, f"{'a' * 300}.png,dark"))
    with pytest.raises(FileNotFoundError, match="none.csv: no such file"):
        tfnn.data.table(pictures / "none.csv")
    (pictures / "bad.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="bad.csv: not a readable .csv file"):
        tfnn.data.table(pictures / "bad.csv")


def test_balanced_weights_make_classes_count_alike():
    labels = np.repeat([0, 1, 2], [10, 20, 70])
    weights = tfnn.data.balanced_class_weight(labels)
    sums = [weights[label] * np.sum(labels == label) for label in range(3)]
    np.testing.assert_allclose(sums, 100 / 3)
    assert weights == pytest.approx({0: 10 / 3, 1: 5 / 3, 2: 10 / 21})
    assert weights == tfnn.data.balanced_class_weight(labels, ["a", "b", "c"])
    for labels, classes, missing in (
        ([0, 2], None, "1"),
        ([0, 1], 3, "2"),
        ([0, 1, 4], 2, "2, 3"),
        ([1], ["cat", "dog", "cow"], "cat, cow"),
        ([], None, "all"),
        ([], 2, "0, 1"),
    ):
        with pytest.raises(ValueError, match=f"without examples, so that no weight balances them: {missing}$"):
            tfnn.data.balanced_class_weight(np.array(labels, int), classes)


def test_imbalance_is_told_in_one_line(pictures):
    assert tfnn.data.imbalance(tfnn.data.folder(pictures)) == "2 classes of 7 training images each"
    for file in (pictures / "light").glob("[5-9]*"):
        file.unlink()
    line = tfnn.data.imbalance(tfnn.data.folder(pictures))
    assert re.fullmatch(r"2 classes of \d \(light\) to \d \(dark\) training images, 1 : [\d.]+", line)


def test_folder_refuses(tmp_path, pictures):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        tfnn.data.folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: no images"):
        tfnn.data.folder(tmp_path / "empty")
    (tmp_path / "split").mkdir()
    for part in "train", "test":
        (tmp_path / "split" / part).mkdir()
    with pytest.raises(ValueError, match="test, train are parts, not classes"):
        tfnn.data.folder(tmp_path / "split")
    for file in (pictures / "light").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match="light: 0 different images; a class needs at least 3"):
        tfnn.data.folder(pictures)
    (pictures / "light").rmdir()
    with pytest.raises(ValueError, match="at least 2 classes, found 1: dark"):
        tfnn.data.folder(pictures)


def test_load_takes_names_and_paths(tmp_path, pictures):
    assert tfnn.data.load("digits").name == "digits"
    assert tfnn.data.load(saved(tmp_path)).name == "set"
    assert tfnn.data.load(pictures).name == "squares"
    with pytest.raises(FileNotFoundError, match="digts: neither a data set .digits, mnist"):
        tfnn.data.load("digts")


@pytest.mark.parametrize(
    "name, shape", [("mnist", (28, 28)), ("fashion_mnist", (28, 28)), ("cifar10", (32, 32, 3)), ("cifar100", (32, 32, 3))]
)
def test_known_sets_are_shaped_as_keras_gives_them(monkeypatch, name, shape):
    classes = 100 if name == "cifar100" else 10
    part = lambda n: (np.zeros((n, *shape), np.uint8), (np.arange(n) % classes).reshape((-1, 1) if len(shape) == 3 else -1))
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda: (part(1000), part(200)))
    data = getattr(tfnn.data, name)()
    assert len(data.train.y) == 900 and len(data.validation.y) == 100 and len(data.test.y) == 200
    assert data.image_shape == (*shape, 1)[:3] and len(data.class_names) == classes and data.train.y.dtype == np.int32


def test_known_sets_without_a_network_say_so(monkeypatch):
    def offline():
        raise Exception("URL fetch failure on https://storage/mnist.npz: None -- Name or service not known")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", offline)
    with pytest.raises(ConnectionError, match="mnist is not in Keras's cache .* needs a network"):
        tfnn.data.mnist()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "pixel, grey",
    [
        ([90], 90),
        ([90, 255], 90),
        ([90, 0], 255),
        ([100, 200, 50], 0.299 * 100 + 0.587 * 200 + 0.114 * 50),
        ([0, 0, 0, 51], 204),
    ],
)
def test_channels(pixel, grey, channels):
    image = with_channels(np.tile(np.array(pixel, np.uint8), (3, 2, 1)), channels)
    assert image.shape == (3, 2, channels)
    if channels == 1 or len(pixel) != 3:
        np.testing.assert_allclose(image, grey, rtol=1e-5)


def test_decode_reads_every_format():
    image = np.random.RandomState(0).randint(0, 256, (6, 5, 3)).astype(np.uint8)
    np.testing.assert_array_equal(decode(png(image)), image)
    assert decode(tf.io.encode_jpeg(image).numpy()).shape == (6, 5, 3)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(b"text")


def test_shrinking_averages():
    checkerboard = np.indices((32, 32)).sum(0)[..., None] % 2 * 255.0
    np.testing.assert_allclose(resize(checkerboard, (8, 8))[1:-1, 1:-1], 127.5, rtol=1e-3)


def test_stratified_split_is_exact_and_frozen():
    labels = np.repeat(np.arange(7), [3, 5, 8, 13, 21, 34, 16])
    part = stratified(labels, [70, 10, 20], seed=1)
    assert np.bincount(part).tolist() == [70, 10, 20]
    quota = np.outer(np.bincount(labels), [0.7, 0.1, 0.2])
    table = np.array([[np.sum((labels == c) & (part == p)) for p in range(3)] for c in range(7)])
    assert np.abs(table - quota).max() < 2
    assert part[:12].tolist() == stratified(labels, [70, 10, 20], seed=1)[:12].tolist()
    assert not np.array_equal(part, stratified(labels, [70, 10, 20], seed=2))
