"""`tfnn.fit` takes every kind of data that `model.fit` takes, in the same order: datasets, PyDatasets, generators, ragged."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import oracle
from tests.training.models import TWO, TWO_X, TWO_Y, EitherInput, Remembering, TellsMuch, two_headed
from tests.training.oracle import DATA, HELD, HELD_W, LAYERS, W, X, Y, assert_same_run, compare, compiled, dense, trained
from tests.training.sources import (
    AVERAGED,
    KINDS,
    LSTM,
    NAMED,
    NAMES,
    SELF_TAUGHT,
    SLICES,
    TAGS,
    WEIGHTED,
    WORDS,
    Batches,
    Begun,
    Endless,
    Matrix,
    Reshuffled,
    Sentences,
    Series,
    autoencoder,
    convolved,
    dataset,
    embedded,
    generator,
    names,
    of_sparse,
    of_strings,
    padded,
    ragged,
    ragged_mean,
    sized_images,
    tagged,
    unknown,
)
from tfnn.training.source import tensors as inputs

# name: (a function that makes the compiled model, a function that makes the arguments of fit)
CASES = {
    "dataset": (compiled(), lambda: {"x": dataset()}),
    "dataset of full batches": (compiled(), lambda: {"x": dataset(drop_remainder=True)}),
    "dataset of unknown length": (compiled(), lambda: {"x": unknown()}),
    "dataset of unknown length with steps": (compiled(), lambda: {"x": unknown().repeat(), "steps_per_epoch": 3}),
    "dataset with weights": (WEIGHTED, lambda: {"x": dataset(X, Y, W)}),
    "dataset of dicts": (NAMED, lambda: {"x": SLICES(names()).batch(16)}),
    "dataset without labels": (SELF_TAUGHT, lambda: {"x": SLICES(X).batch(16)}),
    "dataset of one-tuples": (SELF_TAUGHT, lambda: {"x": dataset(X)}),
    "dataset that repeats, with steps": (compiled(), lambda: {"x": dataset().repeat(), "steps_per_epoch": 3}),
    "dataset that repeats five times": (compiled(), lambda: {"x": dataset().repeat(5), "steps_per_epoch": 6}),
    "dataset with steps that divide it": (compiled(), lambda: {"x": dataset(), "steps_per_epoch": 2}),
    "dataset with steps that do not divide it": (compiled(), lambda: {"x": dataset(), "steps_per_epoch": 3}),
    "dataset with class weights": (WEIGHTED, lambda: {"x": dataset(), "class_weight": {0: 3.0, 2: 0.5}}),
    "dataset, four steps per execution": (compiled(steps_per_execution=4), lambda: {"x": dataset(size=7)}),
    "dataset of unknown length, three steps per execution": (compiled(steps_per_execution=3), lambda: {"x": unknown()}),
    "dataset, eager": (compiled(run_eagerly=True), lambda: {"x": dataset()}),
    "dataset, compiled by XLA": (compiled(jit_compile=True), lambda: {"x": dataset()}),
    "dataset, steps that tell vectors and None": (
        compiled(functools.partial(dense, kind=TellsMuch), loss=None, metrics=None),
        lambda: {"x": dataset(), "validation_data": dataset(*HELD)},
    ),
    "dataset that prefetches": (compiled(), lambda: {"x": dataset().prefetch(2)}),
    "validation of a dataset by a dataset": (compiled(), lambda: {"x": dataset(), "validation_data": dataset(*HELD, size=8)}),
    "validation by a dataset of unknown length": (compiled(), lambda: {"x": dataset(), "validation_data": unknown(*HELD)}),
    "validation by a weighted dataset": (WEIGHTED, lambda: {"x": dataset(), "validation_data": dataset(*HELD, HELD_W)}),
    "validation by a dataset, some steps": (
        compiled(),
        lambda: {"x": dataset(), "validation_data": dataset(*HELD, size=8), "validation_steps": 2, "validation_freq": 2},
    ),
    "validation by an endless dataset": (
        compiled(),
        lambda: {**DATA, "validation_data": dataset(*HELD, size=8).repeat(), "validation_steps": 3},
    ),
    "validation of a dataset by arrays": (
        compiled(),
        lambda: {"x": dataset(), "validation_data": HELD, "validation_batch_size": 8},
    ),
    "validation of arrays by a dataset": (compiled(), lambda: {**DATA, "validation_data": dataset(*HELD)}),
    "validation of arrays by a PyDataset": (compiled(), lambda: {**DATA, "validation_data": Batches(*HELD, workers=1)}),
    # one and the same batch: Keras fetches ahead of each evaluation and drops a varying number of what it fetched
    "validation by a generator": (
        compiled(),
        lambda: {**DATA, "validation_data": generator(*HELD, size=30), "validation_steps": 3},
    ),
    "PyDataset": (compiled(), lambda: {"x": Batches(workers=1)}),
    "PyDataset, two workers": (compiled(), lambda: {"x": Batches(workers=2)}),
    "PyDataset with weights": (WEIGHTED, lambda: {"x": Batches(X, Y, W)}),
    "PyDataset with class weights": (WEIGHTED, lambda: {"x": Batches(), "class_weight": {0: 3.0, 2: 0.5}}),
    "PyDataset that hears of epochs": (compiled(), lambda: {"x": Begun(workers=1)}),
    "PyDataset without end": (compiled(), lambda: {"x": Endless(), "steps_per_epoch": 4}),
    "PyDataset with steps that divide it": (compiled(), lambda: {"x": Batches(workers=1), "steps_per_epoch": 2}),
    "PyDataset, validation by a PyDataset": (compiled(), lambda: {"x": Batches(), "validation_data": Batches(*HELD, size=8)}),
    "PyDataset, three steps per execution": (compiled(steps_per_execution=3), lambda: {"x": Batches()}),
    "PyDataset, eager": (compiled(run_eagerly=True), lambda: {"x": Batches()}),
    "generator": (compiled(), lambda: {"x": generator(), "steps_per_epoch": 4}),
    "generator with weights": (WEIGHTED, lambda: {"x": generator(X, Y, W), "steps_per_epoch": 3}),
    "generator without labels": (SELF_TAUGHT, lambda: {"x": generator(X), "steps_per_epoch": 4}),
    "generator, initial epoch": (compiled(), lambda: {"x": generator(), "steps_per_epoch": 4, "initial_epoch": 1}),
    "generator, two steps per execution": (compiled(steps_per_execution=2), lambda: {"x": generator(), "steps_per_epoch": 4}),
    "lengths that differ, LSTM": (LSTM, lambda: {"x": padded()}),
    "lengths that differ, average": (AVERAGED, lambda: {"x": padded(), "validation_data": padded(7)}),
    "lengths that differ, PyDataset": (LSTM, lambda: {"x": Sentences(workers=1), "validation_data": Sentences()}),
    "lengths that differ, PyDataset, average": (AVERAGED, lambda: {"x": Sentences()}),
    "lengths that differ, a label for each word": (TAGS, lambda: {"x": tagged(), "validation_data": tagged()}),
    "sizes of images that differ": (compiled(convolved), lambda: {"x": sized_images(), "steps_per_epoch": 5}),
    "sequences without a mask": (
        compiled(embedded(lambda: LAYERS.GRU(4), mask_zero=False)),
        lambda: {"x": keras.utils.pad_sequences(WORDS), "y": KINDS, "validation_split": 0.25},
    ),
    "sequences with a mask": (LSTM, lambda: {"x": keras.utils.pad_sequences(WORDS, padding="post"), "y": KINDS}),
    "ragged tensor": (compiled(ragged_mean), lambda: {"x": ragged(), "y": KINDS}),
    "dataset of ragged tensors": (compiled(ragged_mean), lambda: {"x": SLICES((ragged(), KINDS)).batch(16)}),
    "dataset with None for weights": (WEIGHTED, lambda: {"x": dataset().map(lambda x, y: (x, y, None))}),
    "dataset with weights of one output": (
        compiled(two_headed, **TWO, weighted_metrics=lambda: {"kind": ["accuracy"]}),
        lambda: {"x": SLICES((TWO_X, TWO_Y, W)).batch(16).map(lambda x, y, w: (x, y, {"kind": w, "odd": None}))},
    ),
    "generator with None for weights": (WEIGHTED, lambda: {"x": generator(X, Y, None), "steps_per_epoch": 4}),
    "generator with weights of one output": (
        compiled(two_headed, **TWO),
        lambda: {"x": generator(TWO_X, TWO_Y, {"kind": W, "odd": None}), "steps_per_epoch": 4},
    ),
    "weights of one output": (
        compiled(two_headed, **TWO),
        lambda: {**DATA, "x": TWO_X, "y": TWO_Y, "sample_weight": {"kind": W, "odd": None}, "validation_split": 0.25},
    ),
    "a state that batches hand on, not built": (
        compiled(Remembering),
        lambda: {"x": X, "y": Y, "batch_size": 15, "validation_data": HELD},
    ),
    "a state that the batches of a dataset hand on, not built": (
        compiled(Remembering),
        lambda: {"x": dataset(drop_remainder=True)},
    ),
    "an input that is None": (compiled(EitherInput), lambda: {**DATA, "x": {"a": None, "b": X}}),
    "weights in a list": (WEIGHTED, lambda: {**DATA, "sample_weight": [W]}),
    "strings": (compiled(of_strings), lambda: {"x": NAMES, "y": Y}),
    "sparse tensor, a part for validation": (
        compiled(of_sparse),
        lambda: {"x": tf.sparse.from_dense(tf.nn.relu(X)), "y": Y, "validation_split": 0.2},
    ),
    "labels that are the inputs": (
        compiled(autoencoder, loss="mse", metrics=None),
        lambda: {"x": X, "y": X, "batch_size": 16, "validation_split": 0.2},
    ),
}
# Keras learns from a failing step that data of unknown length ended, and that step, in parallel, had counted as an update
UNCOUNTED = [
    "dataset of unknown length",
    "lengths that differ, LSTM",
    "lengths that differ, average",
    "lengths that differ, a label for each word",
]


@pytest.mark.parametrize("case", CASES)
def test_weights_and_history_are_those_of_model_fit(case):
    _, history = compare(*CASES[case], counted=case not in UNCOUNTED)
    if "eager" not in case:
        assert history.traces == 1


def test_a_sparse_matrix_of_scipy_is_a_sparse_tensor():
    found = inputs.tensor(Matrix())
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(tf.sparse.to_dense(found), np.maximum(X, 0))


def test_a_series_of_pandas_is_a_column():
    """A loss without Keras's care, as that in a training step, would spread rows over columns else."""
    assert inputs.tensor(Y.view(Series)).shape == (60, 1)


def test_data_of_unknown_length_counts_its_updates():
    model, history = trained(*CASES["lengths that differ, LSTM"], oracle.fit)
    assert int(model.optimizer.iterations) == history.updates == 3 * 4


def test_a_py_dataset_hears_the_end_of_each_epoch_once():
    """Keras's `fit` calls `on_epoch_end` also before the first epoch."""
    data = Reshuffled()
    ours = trained(compiled(), {"x": data}, oracle.fit)
    assert data.turns == 3
    assert_same_run(ours, trained(compiled(), {"x": Reshuffled(turns=-1)}, keras.Model.fit))
