"""Sources of other packages, PyTorch's and Grain's, where these are installed: as under `model.fit`, and resumed to the bit."""

import keras
import numpy as np
import pytest

import tfnn
from tests.training.oracle import HELD, X, Y, assert_same_run, compiled, fit, trained
from tfnn.training.source import stream


class Rows:
    """The rows of arrays, one by one, as both packages take them."""

    def __init__(self, x=X, y=Y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], self.y[index]

    def __repr__(self):  # by which Grain tells whether a state is one of the same data
        return "Rows"


class NeverTheSame(Rows):
    """Has Python's own `repr`, with an address, as most sources have."""

    def __repr__(self):
        return object.__repr__(self)


def shuffled(rows=Rows, **options):
    grain = pytest.importorskip("grain")
    return grain.MapDataset.source(rows(**options)).shuffle(seed=3)


def one_ahead(batches):
    """The same as an iterator, which Grain would else read 500 batches ahead."""
    return batches.to_iter_dataset(pytest.importorskip("grain").ReadOptions(num_threads=1, prefetch_buffer_size=1))


def grains_loader(rows=Rows, epochs=1):
    grain = pytest.importorskip("grain")
    sampler = grain.samplers.IndexSampler(60, shuffle=True, seed=2, num_epochs=epochs)
    return grain.DataLoader(data_source=rows(), sampler=sampler, operations=[grain.transforms.Batch(16)])


def torchs_loader(rows=Rows, **options):
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    return torch.utils.data.DataLoader(rows(), 16, **{"shuffle": True, **options})


def of_a_generator():
    return torchs_loader(generator=pytest.importorskip("torch").Generator().manual_seed(4))


def of_a_batch_sampler():
    """A sampler in a sampler, and a data set, with generators of their own."""
    torch = pytest.importorskip("torch")
    samplers, seeded = torch.utils.data, lambda seed: torch.Generator().manual_seed(seed)

    class Noisy(Rows, samplers.Dataset):
        noise = property(lambda self: torch.randn(6, generator=self.generator).numpy())

        def __getitem__(self, index):
            return self.x[index] + self.noise, self.y[index]

    rows = Noisy()
    rows.generator = seeded(6)
    order = samplers.RandomSampler(rows, generator=seeded(5))
    return samplers.DataLoader(rows, batch_sampler=samplers.BatchSampler(order, 16, drop_last=False))


# name: a function that makes the arguments of fit
CASES = {
    "Grain": lambda: {"x": shuffled().batch(16), "validation_data": shuffled(x=HELD[0], y=HELD[1]).batch(8)},
    "Grain, an iterator": lambda: {"x": shuffled().batch(16).to_iter_dataset()},
    "Grain without end": lambda: {"x": one_ahead(shuffled().repeat().batch(16)), "steps_per_epoch": 3},
    "Grain with None for weights": lambda: {"x": shuffled().batch(16).map(lambda batch: (*batch, None))},
    "Grain's DataLoader": lambda: {"x": grains_loader()},
    "Grain's DataLoader without end": lambda: {"x": grains_loader(epochs=None), "steps_per_epoch": 5},
    "PyTorch": lambda: {"x": torchs_loader()},
    "PyTorch, a generator of its own": lambda: {"x": of_a_generator(), "validation_data": torchs_loader(shuffle=False)},
    "PyTorch, a sampler of batches": lambda: {"x": of_a_batch_sampler()},
    "PyTorch, a worker": lambda: {"x": torchs_loader(num_workers=1)},
    "PyTorch with steps": lambda: {"x": torchs_loader(), "steps_per_epoch": 3},
}


@pytest.mark.parametrize("case", CASES)
def test_weights_and_history_are_those_of_model_fit_also_of_a_resumed_run(case, tmp_path, monkeypatch):
    ours = trained(compiled(), CASES[case], fit)
    assert_same_run(ours, trained(compiled(), CASES[case], keras.Model.fit), counted=False)
    assert ours[1].traces == 1
    if "Grain" in case:
        monkeypatch.setattr(stream, "skip", None)  # nothing is read again
    for save_freq in "epoch", 3:
        directory = tmp_path / str(save_freq)
        interrupted(case, directory, save_freq)
        resumed = trained(compiled(), CASES[case], fit, resume=directory)
        assert_same_run(resumed, ours)
        for a, b in zip(resumed[0].get_weights(), ours[0].get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def interrupted(case, directory, save_freq, **more):
    """Leaves the checkpoints of a run that ended after its sixth update."""

    def stop(batch, logs):
        heard.append(batch)
        if len(heard) == 6:
            raise KeyboardInterrupt

    heard, checkpoint = [], tfnn.callbacks.Checkpoint(directory, save_freq, monitor="loss")
    with pytest.raises(KeyboardInterrupt):
        trained(compiled(), CASES[case], fit, callbacks=[checkpoint, keras.callbacks.LambdaCallback(on_train_batch_end=stop)])


@pytest.mark.slow
def test_workers_that_keep_their_random_numbers_are_told(tmp_path, monkeypatch):
    monkeypatch.setitem(CASES, "kept", lambda: {"x": torchs_loader(num_workers=1, persistent_workers=True)})
    with pytest.warns(UserWarning, match="persistent_workers=False resumes to the bit"):
        interrupted("kept", tmp_path, 3)


@pytest.mark.slow
def test_a_state_that_grain_refuses_is_found_by_reading(tmp_path, monkeypatch):
    monkeypatch.setitem(CASES, "nameless", lambda: {"x": grains_loader(NeverTheSame)})
    ours = trained(compiled(), CASES["nameless"], fit)
    interrupted("nameless", tmp_path, 3)
    assert_same_run(trained(compiled(), CASES["nameless"], fit, resume=tmp_path), ours)


@pytest.mark.slow
def test_a_task_prepares_what_grain_gives():
    class Task(keras.Model):
        fit = None

        def preprocess_samples(self, x, y=None, sample_weight=None):
            return keras.utils.pack_x_y_sample_weight(x / 2, y, sample_weight)

    def task(kind):
        inputs = keras.Input((6,))
        return kind(inputs, keras.layers.Dense(3, "softmax")(inputs))

    data = lambda x: {"x": shuffled(x=x).batch(16), "validation_data": shuffled(x=x).batch(8)}
    ours = trained(compiled(lambda: task(Task)), data(X), fit)
    assert_same_run(ours, trained(compiled(lambda: task(keras.Model)), data(X / 2), fit))
    with pytest.raises(ValueError, match=r"grain.DataLoader has no map: give a MapDataset"):
        trained(compiled(lambda: task(Task)), {"x": grains_loader()}, fit)


def test_what_has_no_end_needs_steps():
    with pytest.raises(ValueError, match="has no end: give the steps"):
        trained(compiled(), {"x": shuffled().repeat().batch(16)}, fit)
