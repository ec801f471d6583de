import keras
import numpy as np
import pytest
import tensorflow as tf

from tfnn import random


def u32(*values):
    return [tf.constant(value, tf.uint32) for value in values]


@pytest.mark.parametrize(
    "key, counter, expected",
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_the_known_answers_of_random123(key, counter, expected):
    assert tuple(int(x) for x in random.threefry(*u32(*key), *u32(*counter))) == expected


def draw(examples, seed=1, epoch=2, before=0, count=3):
    with random.scope(seed, epoch, tf.constant(examples, tf.int32)):
        for _ in range(before):
            random.uniforms(len(examples), 1, None)
        return random.uniforms(len(examples), count, None).numpy()


def test_a_draw_is_a_function_of_seed_epoch_example_and_its_number_in_the_block():
    whole = draw([5, 6, 7, 8])
    np.testing.assert_array_equal(np.concatenate([draw([5]), draw([6, 7, 8])]), whole)
    np.testing.assert_array_equal(draw([8, 5])[::-1], whole[[0, 3]])
    for other in draw([5, 6, 7, 8], seed=2), draw([5, 6, 7, 8], epoch=3), draw([5, 6, 7, 8], before=1):
        assert not np.any(other == whole)


def test_graph_and_xla_give_the_bits_of_an_eager_draw():
    def run(examples, epoch):
        with random.scope(3, epoch, examples):
            return random.uniforms(tf.shape(examples)[0], 5, None)

    arguments = tf.range(100), tf.constant(4)
    for jit_compile in False, True:
        graph = tf.function(run, jit_compile=jit_compile)
        np.testing.assert_array_equal(graph(*arguments), run(*arguments))


def test_numbers_are_uniform_and_uncorrelated():
    numbers = draw(range(20_000), count=4).astype(np.float64)
    assert numbers.min() >= 0 and numbers.max() < 1
    error = 1 / np.sqrt(len(numbers))
    np.testing.assert_allclose(numbers.mean(0), 0.5, atol=5 * error * np.sqrt(1 / 12))
    np.testing.assert_allclose(numbers.var(0), 1 / 12, atol=5 * error * np.sqrt(1 / 180))
    assert np.abs(np.corrcoef(numbers.T) - np.eye(4)).max() < 5 * error


def test_without_a_scope_each_draw_is_fresh_and_follows_the_generator():
    first, again = (keras.random.SeedGenerator(7) for _ in range(2))
    a, b = random.uniforms(4, 2, first), random.uniforms(4, 2, first)
    assert not np.any(a.numpy() == b.numpy())
    np.testing.assert_array_equal(random.uniforms(4, 2, again), a)
