"""Images that stay in their files: the pixels, the order and the weights are those of arrays in memory."""

import json
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tfnn.data import files as image_files
from tfnn.training.graph.xla import PAYS
from tfnn.training.source.file_stream import FileStream

LAYERS = keras.layers


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, digits):
    """Three classes of digits in files of several formats, sizes and channels; 90 in all."""
    folder = tmp_path_factory.mktemp("pictures")
    for label in range(3):
        (folder / str(label)).mkdir()
        for index, image in enumerate(digits.train.x[digits.train.y == label][:30]):
            pixels = np.uint8(image * (255 / 16)).repeat(2 + index % 2, 0).repeat(2, 1)
            path = folder / str(label) / f"{index:02}"
            if index % 3 == 0:
                path.with_suffix(".jpg").write_bytes(tf.io.encode_jpeg(pixels.repeat(3, -1)).numpy())
            else:
                path.with_suffix(".png").write_bytes(tf.io.encode_png(pixels).numpy())
    return folder


@pytest.fixture(scope="module")
def both(pictures):
    """(in memory, streamed)."""
    return [tfnn.data.folder(pictures, image_size=(16, 16), stream=stream) for stream in (False, True)]


def parts(data):
    return data.train, data.validation, data.test


def compiled(*layers):
    keras.utils.set_random_seed(3)
    convolution = [LAYERS.Rescaling(1 / 255), LAYERS.Conv2D(4, 3, 2), tfnn.layers.BatchNormalization(), LAYERS.ReLU()]
    head = [LAYERS.Flatten(), tfnn.layers.Dropout(0.3), LAYERS.Dropout(0.2), LAYERS.Dense(3)]
    model = keras.Sequential([keras.Input((16, 16, 3)), *convolution, *head])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tfnn.optimizers.SGD(0.05, momentum=0.9), loss, metrics=["accuracy"])
    return model


def trained(x, y=None, callbacks=(), epochs=2, **options):
    model = compiled()
    options = dict(batch_size=16, seed=5, verbose=0) | options
    model.told = tfnn.fit(model, x, y, epochs=epochs, callbacks=list(callbacks), **options)
    return model


def assert_same(one, other, atol=0):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


# The images ----------------------------------------------------------------------------------------------------------


def test_pixels_labels_and_files_are_those_in_memory(both):
    memory, streamed = both
    assert streamed.image_shape == memory.image_shape == (16, 16, 3)
    for kept, left in zip(parts(memory), parts(streamed)):
        assert isinstance(kept.x, np.ndarray) and isinstance(left.x, tfnn.data.ImageFiles)
        np.testing.assert_array_equal(left.x, kept.x)
        np.testing.assert_array_equal(left.y, kept.y)
        assert left.files == kept.files and left.digests == kept.digests and len(set(left.digests)) == len(left.y)


def test_they_are_taken_as_those_of_an_array(both):
    array, images = (data.train.x for data in both)
    assert images.shape == array.shape and images.ndim == 4 and images.dtype == array.dtype and images.nbytes == array.nbytes
    mask = np.arange(len(array)) % 5 == 2
    for rows in 3, -1, slice(2, 9), slice(None, None, -7), [5, 5, 0], np.array([8, 1]), mask, slice(0, 0):
        np.testing.assert_array_equal(images[rows], array[rows])
        assert images[rows].dtype == np.uint8
    np.testing.assert_array_equal(images.select(mask)[1:], array[mask][1:])
    with pytest.raises(IndexError):
        images[len(array)]
    with pytest.raises(IndexError, match="one index, a slice or a list"):
        images[[[0, 1]]]


def test_a_selected_part_stays_in_its_files(both):
    for rows in [3, 1, 4], slice(2, 5), np.arange(len(both[0].train.y)) < 7:
        kept, left = (data.train.select(rows) for data in both)
        assert isinstance(left.x, tfnn.data.ImageFiles) and left.files == kept.files and left.digests == kept.digests
        assert left.files == left.x.files and left.digests == left.x.digests
        np.testing.assert_array_equal(left.x, kept.x)
        np.testing.assert_array_equal(left.loaded().x, kept.x)


def test_a_number_of_bytes_is_the_bound_of_what_is_held(pictures, both):
    size = 90 * 16 * 16 * 3
    for bound, kind in (size, np.ndarray), (size - 1, tfnn.data.ImageFiles), (0, tfnn.data.ImageFiles):
        assert isinstance(tfnn.data.load(pictures, stream=bound).train.x[:0], np.ndarray)
        assert isinstance(tfnn.data.folder(pictures, image_size=(16, 16), stream=bound).train.x, kind)
    for wrong in -1, "yes", None:
        with pytest.raises(ValueError, match="stream=.* must be True, False or a number of bytes"):
            tfnn.data.folder(pictures, stream=wrong)
    for wrong in 16, (16,), (0, 16), "16", (16.5, 16):
        with pytest.raises(ValueError, match=r"image_size=.* must be \(height, width\) in pixels"):
            tfnn.data.folder(pictures, image_size=wrong)


def test_the_digest_of_a_part_is_that_of_its_images_in_their_order(both):
    for data in both:
        part = data.train
        others = part.select(slice(1, None)), part.select(slice(None, None, -1)), data.test
        assert part.digest() == part.select(slice(None)).digest()
        assert len({part.digest(), *(other.digest() for other in others)}) == 4
    wider = tfnn.data.ImageFiles(both[1].train.files, both[1].train.digests, (16, 17, 3))
    assert wider.digest() != both[1].train.digest()


def test_batches_are_read_in_the_order_of_the_files(both):
    for given in both[1].train, both[1].train.x, both[1]:
        found = list(tfnn.data.batches.batches(given, batch_size=10))
        assert [len(batch) for batch in found] == [10] * 6 + [3]
        np.testing.assert_array_equal(np.concatenate(found), both[0].train.x)


def test_a_table_is_streamed_too(pictures, both, tmp_path):
    lines = [f"{file};{file.parent.name}" for file in sorted(pictures.glob("*/*"))]
    (tmp_path / "list.csv").write_text("\n".join(["\ufeffpath;label", *lines]), encoding="utf-8")
    data = tfnn.data.load(tmp_path / "list.csv", stream=True)
    assert data.train.files == both[1].train.files and isinstance(data.train.x, tfnn.data.ImageFiles)


# Training ------------------------------------------------------------------------------------------------------------

WAYS = {
    "plain": {},
    "accumulated": {"accumulate": 2},
    "balanced": {"class_weight": "balanced"},
    "augmented": {"augment": tfnn.layers.RandomTranslation(0.1, 0.1)},
    "split": {"validation_split": 0.2},
    "in order": {"shuffle": False},
}


@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
def test_weights_are_those_of_arrays_to_the_bit(both, options):
    """With tfnn's Dropout and augmentation, which draw for each example; both read their validation data, too."""
    held = [{} if "validation_split" in options else {"validation_data": data.validation} for data in both]
    kept, left = (trained(data.train, jit_compile=False, **options, **more) for data, more in zip(both, held))
    assert_same(left, kept)
    assert left.told.history == kept.told.history and left.told.traces == 1
    if not options:  # that another order would show
        other = trained(both[1].train, jit_compile=False, seed=6)
        assert not np.array_equal(other.get_weights()[0], left.get_weights()[0])


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_schedule_in_epochs_is_that_of_arrays(both, accumulate):
    """Its clock counts the examples that were read: the last batch of an epoch is smaller."""
    assert len(both[0].train.y) % 16

    def trained(part):
        model = compiled()
        rate = tfnn.schedules.InEpochs(tfnn.schedules.ExponentialDecay(0.1, 0.5, 0.1))
        model.compile(tfnn.optimizers.SGD(rate), "sparse_categorical_crossentropy")
        tfnn.fit(model, part.x, part.y, 16, 2, 0, seed=1, accumulate=accumulate, jit_compile=False)
        return model

    assert_same(*(trained(data.train) for data in both))


def test_with_xla_they_agree_to_rounding(both, monkeypatch):
    monkeypatch.setitem(PAYS, "light", 1)  # the last batch is compiled in both: XLA draws other numbers for Keras's Dropout
    assert_same(*(trained(data.train.x, data.train.y, jit_compile=True) for data in both), atol=1e-4)


def test_evaluate_and_predict_are_those_of_arrays(both):
    model = trained(both[0].train, epochs=1)
    kept, left = (tfnn.evaluate(model, data.test, verbose=0, return_dict=True) for data in both)
    assert left == kept
    kept, left = (tfnn.predict(model, data.test.x, batch_size=7, verbose=0) for data in both)
    np.testing.assert_array_equal(left, kept)
    streamed = tfnn.data.stream(both[1].test, batch_size=7, seed=1)
    np.testing.assert_array_equal(tfnn.predict(model, streamed, verbose=0), kept)


def test_one_thread_or_many_read_the_same(both, monkeypatch):
    many = trained(both[1].train)
    monkeypatch.setattr("tfnn.training.source.file_stream.threads", lambda: 1)
    assert_same(trained(both[1].train), many)


class Stop(Exception):
    pass


class StopAt(keras.callbacks.Callback):
    def __init__(self, update):
        super().__init__()
        self.update, self.seen = update, 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen == self.update:
            raise Stop


def test_a_run_goes_on_from_any_batch_to_the_same_bits(both, tmp_path):
    save = lambda: tfnn.callbacks.Checkpoint(tmp_path, save_freq=3)
    with pytest.raises(Stop):
        trained(both[1].train, callbacks=[save(), StopAt(6)], epochs=3)  # in the second epoch, of 4 updates
    again = trained(both[1].train, callbacks=[save()], epochs=3, resume=tmp_path)
    assert_same(again, trained(both[1].train, epochs=3))
    with pytest.raises(ValueError, match="the data differ"):
        trained(both[1].train.select(slice(None, None, -1)), epochs=4, resume=tmp_path)


def test_a_place_is_found_without_reading_what_is_before_it(both, monkeypatch):
    part = both[1].train
    source = FileStream((part.x, tf.constant(part.y), None), 8, shuffle=True, seed=2)
    source.seek(1)
    whole = [x.numpy() for x, _ in source.iterator]
    gone = tfnn.data.ImageFiles(part.files, part.digests, part.x.image_shape)
    order = tfnn.random.permutation(len(part.y), 2, 1)
    read = {part.files[row] for row in order[5 * 8 :]}
    gone.files = tuple(file if file in read else "/nowhere" for file in part.files)
    later = FileStream((gone, tf.constant(part.y), None), 8, shuffle=True, seed=2)
    later.seek(1, [5, 40])
    for (x, _), before in zip(later.iterator, whole[5:], strict=True):
        np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(np.concatenate(whole), both[0].train.x[order])


def test_model_fit_reads_a_stream_in_the_same_order(both):
    """Without tfnn's random layers, which draw for each example under `tfnn.fit` alone."""

    def model():
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((16, 16, 3)), LAYERS.Rescaling(1 / 255), LAYERS.Flatten(), LAYERS.Dense(3)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(tfnn.optimizers.SGD(0.05, momentum=0.9), loss)
        return model

    plain, ours, gone_on = model(), model(), model()
    plain.fit(tfnn.data.stream(both[1].train, batch_size=16, seed=4), shuffle=False, epochs=3, verbose=0)
    tfnn.fit(ours, tfnn.data.stream(both[1].train, batch_size=16, seed=4), epochs=3, verbose=0, jit_compile=False)
    assert_same(plain, ours, atol=1e-6)
    gone_on.fit(tfnn.data.stream(both[1].train, batch_size=16, seed=4), shuffle=False, epochs=2, verbose=0)
    gone_on.fit(
        tfnn.data.stream(both[1].train, batch_size=16, seed=4, epoch=2), shuffle=False, epochs=3, initial_epoch=2, verbose=0
    )
    assert_same(gone_on, plain)
    assert plain.evaluate(tfnn.data.stream(both[1].test, batch_size=16), verbose=0) == pytest.approx(
        plain.evaluate(both[0].test.x, both[0].test.y, verbose=0), rel=1e-5
    )


def test_images_beside_other_inputs(both):
    """A dict of images in files and an array of numbers."""

    def model():
        keras.utils.set_random_seed(3)
        image, number = keras.Input((16, 16, 3), name="image"), keras.Input((1,), name="number")
        flat = LAYERS.Flatten()(LAYERS.Rescaling(1 / 255)(image))
        model = keras.Model({"image": image, "number": number}, LAYERS.Dense(3)(LAYERS.Concatenate()([flat, number])))
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    kept, left = model(), model()
    for trained, data in (kept, both[0]), (left, both[1]):
        x = {"image": data.train.x, "number": np.linspace(0, 1, len(data.train.y), dtype=np.float32)[:, None]}
        tfnn.fit(trained, x, data.train.y, batch_size=16, seed=1, verbose=0, jit_compile=False)
    assert_same(left, kept)


def test_a_growable_takes_them(both):
    kept, left = (tfnn.data.growable(data.train.x, data.train.y, 16, seed=1) for data in both)
    for data in kept, left:
        data.on_epoch_begin()
    np.testing.assert_array_equal(left[0][0], kept[0][0])


# Bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_file_that_is_gone_or_damaged_since_is_named(tmp_path, pictures):
    for file in pictures.rglob("*.png"):
        copy = tmp_path / "set" / file.parent.name / file.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    data = tfnn.data.folder(tmp_path / "set", image_size=(16, 16), stream=True)
    bad = data.train.files[7]
    for damage, words in (lambda: open(bad, "wb").close(), "is no readable image any more"), (None, "is gone"):
        (damage or (tmp_path / "set" / bad).unlink)()
        model = keras.Sequential([keras.Input((16, 16, 1)), LAYERS.Flatten(), LAYERS.Dense(3)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        for read in (
            lambda: data.train.x[5:9],
            lambda: tfnn.fit(model, data.train, batch_size=8, verbose=0),
            lambda: tfnn.evaluate(model, data.train, verbose=0),
            lambda: tfnn.predict(model, data.train.x, verbose=0),
        ):
            with pytest.raises(ValueError, match=f"^{re.escape(bad)} {words}; it was one .*: make that anew$"):
                read()


def test_what_cannot_be_read_is_refused_in_one_line(both):
    part, model = both[1].train, compiled()
    for call, message in (
        (lambda: tfnn.data.stream(part, batch_size=0), "batch_size=0 must be an integer of at least 1"),
        (lambda: tfnn.data.stream(part, y=part.y), "y was given beside a Part"),
        (lambda: tfnn.data.stream(part.x, part.y[:5]), r"same number of examples, got \[5, 63\]"),
        (lambda: tfnn.data.stream(part, epoch=-1), "epoch=-1 must be"),
        (lambda: tfnn.fit(model, part, part.y), "y was given beside a Part"),
        (lambda: tfnn.fit(model, part.x, part.y[:5]), "x: 63, y: 5"),
        (lambda: tfnn.fit(model, tfnn.data.stream(part), batch_size=3), "batch_size are arguments of stream"),
        (lambda: tfnn.fit(model, part.x, part.y + 1), "label"),
        (lambda: tfnn.fit(model, part.x, tf.RaggedTensor.from_row_lengths(part.y, [1] * 63)), "dense arrays"),
    ):
        with pytest.raises((ValueError, TypeError), match=message) as error:
            call()
        assert "\n" not in str(error.value)


# Memory --------------------------------------------------------------------------------------------------------------

PEAK = """
import resource, sys, json, pathlib
import keras, numpy as np, tensorflow as tf, tfnn

folder, turns = pathlib.Path(sys.argv[1]), int(sys.argv[2])
part = tfnn.data.folder(folder, stream=True).train
files = tfnn.data.ImageFiles(part.files * turns, part.digests * turns, (512, 512, 3))
model = keras.Sequential([keras.Input((512, 512, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
fit = lambda x, y: tfnn.fit(model, x, y, batch_size=8, verbose=0, jit_compile=False)
fit(files.select(slice(0, 64)), np.zeros(64, int))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fit(files, np.zeros(len(files), int))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([(after - before) * 1024, files.nbytes]))
"""


@pytest.mark.slow
def test_the_peak_of_memory_does_not_grow_with_the_number_of_files(tmp_path):
    """768 images of 0.75 MB after 64 of them: half a gigabyte of pixels, of which an eighth would show."""
    for label in "ab":
        (tmp_path / label).mkdir()
        for index in range(5):
            (tmp_path / label / f"{index}.png").write_bytes(tf.io.encode_png(np.full((9, 9, 1), index, np.uint8)).numpy())
    script = subprocess.run([sys.executable, "-c", PEAK, tmp_path, "110"], capture_output=True, text=True)
    assert script.returncode == 0, script.stderr
    grown, pixels = json.loads(script.stdout.splitlines()[-1])
    assert pixels > 5e8 and grown < pixels / 8


def test_a_pass_over_files_holds_few_at_a_time(monkeypatch):
    held = []
    monkeypatch.setattr("tfnn.data.images.AT_A_TIME", 4)
    from tfnn.data.images import in_parallel

    for number, done in enumerate(in_parallel(lambda item: held.append(item) or item, list(range(20)))):
        assert done == number and len(held) <= number + 4


def test_threads_are_the_cores_of_the_process():
    assert 1 <= image_files.threads() <= 4096
