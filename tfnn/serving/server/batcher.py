"""Adaptive batching: requests that arrive while the workers are busy are answered together.

A lone request runs at once. Under load, requests queue up while the workers compute, and the next free worker takes as many
of one kind as fit, so batches grow with the load. MLServer's own batcher joins requests of different shapes under the shape
of the first, and if one client gives up, the others in its batch wait for ever.
"""

import asyncio
import collections
import concurrent.futures
import contextlib
import os
import time
from typing import NamedTuple

import numpy as np

TICK = 1e-3  # seconds that a timer may fire early


class Job(NamedTuple):
    """A waiting request.

    Attributes:
        inputs: {name: array of `rows` rows}.
        pixels: the number of pixels in all of them.
        since: the time of its arrival, in seconds.
    """

    inputs: dict
    rows: int
    pixels: int
    since: float
    answer: asyncio.Future


class Batcher:
    """Runs functions of batches in a bounded pool of threads.

    Args:
        most_rows, most_pixels: limits of a batch that joins several requests.
        delay: seconds that a request waits for others even if a worker is free.
        workers: the number of threads; None takes one per core.
        observe: is called with the number of rows of each batch.
    """

    def __init__(self, most_rows, most_pixels, delay=0.0, workers=None, observe=lambda rows: None):
        self.most_rows, self.most_pixels, self.delay, self.observe = most_rows, most_pixels, delay, observe
        self.free = workers or len(os.sched_getaffinity(0))
        self.pool = concurrent.futures.ThreadPoolExecutor(self.free, thread_name_prefix="batch")
        self.waiting = collections.OrderedDict()  # {(function, kind): jobs}, the longest waiting first
        self.tasks = set()

    async def __call__(self, function, kind, inputs, rows, pixels):
        """Returns `function(inputs)`; the function may run on the rows of other requests of this kind at the same time.

        Args:
            function: from {name: array} to {name: array}.
            kind: hashable; requests with the same function and kind can be concatenated. None: with no other.
        """
        job = Job(inputs, rows, pixels, time.monotonic(), asyncio.get_running_loop().create_future())
        self.waiting.setdefault((function, object() if kind is None else kind), collections.deque()).append(job)
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self.start)
        self.start()
        return await job.answer

    def start(self):
        """Starts free workers on the batches that are due."""
        while self.free and (key := self.due()):
            self.free -= 1
            task = asyncio.create_task(self.run(key[0], self.take(key)))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def due(self):
        """A key of `waiting` whose batch is full or whose first job has waited long enough, or None."""
        oldest = time.monotonic() - self.delay + TICK
        for key, jobs in self.waiting.items():
            if jobs[0].since <= oldest or sum(job.rows for job in jobs) >= self.most_rows:
                return key
        return None

    def take(self, key):
        """Takes the next batch from the queue: the first job and those after it that fit."""
        queue = self.waiting[key]
        jobs = [queue.popleft()]
        rows, pixels = jobs[0].rows, jobs[0].pixels
        while queue and rows + queue[0].rows <= self.most_rows and pixels + queue[0].pixels <= self.most_pixels:
            jobs.append(queue.popleft())
            rows, pixels = rows + jobs[-1].rows, pixels + jobs[-1].pixels
        if queue:
            self.waiting.move_to_end(key)
        else:
            del self.waiting[key]
        return jobs

    async def run(self, function, jobs):
        jobs = [job for job in jobs if not job.answer.cancelled()]  # a job is cancelled when its client leaves
        answers = await asyncio.get_running_loop().run_in_executor(self.pool, self.answers, function, jobs)
        for job, answer in zip(jobs, answers):
            if job.answer.cancelled():
                continue
            if isinstance(answer, Exception):
                job.answer.set_exception(answer)
            else:
                job.answer.set_result(answer)
        self.free += 1
        self.start()

    def answers(self, function, jobs):
        """The answer or the exception of each job. If a batch fails, each job runs alone, so that only bad ones fail."""
        if len(jobs) > 1:
            ends = np.cumsum([job.rows for job in jobs])
            with contextlib.suppress(Exception):  # the job that causes it raises it again below
                joined = {name: np.concatenate([job.inputs[name] for job in jobs]) for name in jobs[0].inputs}
                outputs = self.measured(function, joined, ends[-1])
                if all(len(array) == ends[-1] for array in outputs.values()):
                    return [
                        {name: array[end - job.rows : end] for name, array in outputs.items()} for job, end in zip(jobs, ends)
                    ]
        return [self.alone(function, job) for job in jobs]

    def alone(self, function, job):
        try:
            return self.measured(function, job.inputs, job.rows)
        except Exception as error:
            return error

    def measured(self, function, inputs, rows):
        outputs = function(inputs)
        self.observe(rows)
        return outputs

    def close(self):
        """Ends the threads when they have finished their batches."""
        self.pool.shutdown()
