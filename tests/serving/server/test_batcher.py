"""Requests that wait are answered together, each with its own rows; a bad one fails alone."""

import asyncio
import threading
import time

import numpy as np
import pytest

from tfnn.serving.server.batcher import Batcher


class Doubling:
    """x to 2 x, and the number of rows of each call; the first calls wait until they are let go."""

    def __init__(self, hold=False):
        self.calls, self.go = [], threading.Event()
        if not hold:
            self.go.set()

    def __call__(self, inputs):
        self.go.wait(10)
        self.calls.append(len(inputs["x"]))
        if (inputs["x"] < 0).any():
            raise ValueError("negative")
        return {"y": 2 * inputs["x"]}


def rows(*values):
    return {"x": np.array(values, float)}


def ask(run, function, *values, kind="kind", pixels=0):
    return asyncio.ensure_future(run(function, kind, rows(*values), len(values), pixels))


async def settled():
    await asyncio.sleep(0.05)


def test_a_lone_request_runs_at_once():
    async def main():
        function = Doubling()
        began = time.perf_counter()
        answer = await ask(Batcher(8, 100), function, 1, 2)
        assert answer["y"].tolist() == [2, 4] and function.calls == [2]
        assert time.perf_counter() - began < 0.5

    asyncio.run(main())


def test_what_arrives_while_the_worker_is_busy_is_one_batch_and_each_gets_its_rows():
    async def main():
        function = Doubling(hold=True)
        run = Batcher(8, 100, workers=1)
        asked = [ask(run, function, 0), ask(run, function, 1, 2), ask(run, function, 3), ask(run, function, 4, 5, 6)]
        await settled()
        function.go.set()
        assert [(await answer)["y"].tolist() for answer in asked] == [[0], [2, 4], [6], [8, 10, 12]]
        assert function.calls == [1, 6]

    asyncio.run(main())


@pytest.mark.parametrize("limits, calls", [((4, 100), [1, 4, 2]), ((8, 5), [1, 2, 2, 2]), ((1, 100), [1, 2, 2, 2])])
def test_batches_keep_to_rows_and_pixels_but_one_request_is_never_split(limits, calls):
    async def main():
        function = Doubling(hold=True)
        run = Batcher(*limits, workers=1)
        asked = [ask(run, function, 0), *(ask(run, function, n, n, pixels=3) for n in range(3))]
        await settled()
        function.go.set()
        await asyncio.gather(*asked)
        assert function.calls == calls

    asyncio.run(main())


def test_kinds_and_functions_are_not_mixed_and_none_is_never_joined():
    async def main():
        one, other = Doubling(hold=True), Doubling()
        run = Batcher(8, 100, workers=1)
        asked = [
            ask(run, one, 0, kind=None),
            ask(run, one, 1, kind="a"),
            ask(run, one, 2, kind="b"),
            ask(run, other, 3, kind="a"),
        ]
        asked += [ask(run, one, 4, kind=None), ask(run, one, 5, kind=None), ask(run, one, 6, kind="a")]
        await settled()
        one.go.set()
        assert [(await answer)["y"].tolist() for answer in asked] == [[2 * n] for n in range(7)]
        assert sorted(one.calls) == [1, 1, 1, 1, 2] and other.calls == [1]

    asyncio.run(main())


def test_a_bad_request_fails_alone():
    async def main():
        function = Doubling(hold=True)
        run = Batcher(8, 100, workers=1)
        asked = [ask(run, function, n) for n in (0, 1, -1, 2)]
        await settled()
        function.go.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert str(answers.pop(2)) == "negative"
        assert [answer["y"].tolist() for answer in answers] == [[0], [2], [4]]

    asyncio.run(main())


def test_a_request_that_is_given_up_harms_no_other():
    async def main():
        function = Doubling(hold=True)
        run = Batcher(8, 100, workers=1)
        asked = [ask(run, function, n) for n in range(4)]
        await settled()
        for given_up in (asked[0], asked[2]):  # one that runs, one that waits
            given_up.cancel()
        await settled()
        function.go.set()
        assert [(await asked[n])["y"].tolist() for n in (1, 3)] == [[2], [6]]
        assert function.calls == [1, 2]
        assert (await ask(run, function, 9))["y"].tolist() == [18]

    asyncio.run(main())


def test_a_delay_gathers_although_a_worker_is_free_until_the_batch_is_full():
    async def main():
        function = Doubling()
        run = Batcher(3, 100, delay=0.2, workers=1)
        began = time.perf_counter()
        await asyncio.gather(*(ask(run, function, n) for n in range(2)))
        assert time.perf_counter() - began >= 0.2 and function.calls == [2]
        began = time.perf_counter()
        await asyncio.gather(*(ask(run, function, n) for n in range(3)))
        assert time.perf_counter() - began < 0.19 and function.calls == [2, 3]

    asyncio.run(main())


def test_a_function_whose_outputs_are_not_by_example_is_asked_for_each_request():
    async def main():
        held = Doubling(hold=True)
        run = Batcher(8, 100, workers=1)

        def total(inputs):
            return {"total": held(inputs)["y"].sum(keepdims=True)}

        asked = [ask(run, total, *values) for values in ((1, 2), (3, 4), (5,))]
        await settled()
        held.go.set()
        assert [(await answer)["total"].tolist() for answer in asked] == [[6], [14], [10]]

    asyncio.run(main())


def test_the_loop_is_free_while_a_batch_runs():
    async def main():
        function = Doubling(hold=True)
        asked = ask(Batcher(8, 100, workers=1), function, 1)
        await settled()
        assert not asked.done()
        function.go.set()
        await asked

    asyncio.run(main())
