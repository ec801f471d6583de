"""Adaptive batching: what arrives while the workers are busy is answered together.

A lone request does not wait: it runs at once. Under load requests queue up while the workers compute, and the next free
worker takes as many of one kind as fit, so batches are as large as the load asks for. MLServer's own batcher joins whatever
arrives, under the first one's shape; when a client gives up, the others of its batch wait for ever.
"""

import asyncio
import collections
import concurrent.futures
import contextlib
import os
import time
from typing import NamedTuple

import numpy as np

TICK = 1e-3  # seconds by which a timer may be early


class Job(NamedTuple):
    """inputs: {name: array of `rows` rows}. pixels: that they take, together. since: when it came, in seconds."""

    inputs: dict
    rows: int
    pixels: int
    since: float
    answer: asyncio.Future


class Batcher:
    """Runs functions of batches in a bounded pool of threads.

    Args:
        most_rows: of a batch that is made of several requests.
        most_pixels: likewise.
        delay: seconds for which a request waits for others although a worker is free.
        workers: threads; None takes one for each core.
        observe: is told the rows of each batch.
    """

    def __init__(self, most_rows, most_pixels, delay=0.0, workers=None, observe=lambda rows: None):
        self.most_rows, self.most_pixels, self.delay, self.observe = most_rows, most_pixels, delay, observe
        self.free = workers or len(os.sched_getaffinity(0))
        self.pool = concurrent.futures.ThreadPoolExecutor(self.free, thread_name_prefix="batch")
        self.waiting = collections.OrderedDict()  # (function, kind) to its jobs, the kind that waits longest first
        self.tasks = set()

    async def __call__(self, function, kind, inputs, rows, pixels):
        """{output: array} of `function(inputs)`, which may have run on the rows of other requests of this kind, too.

        Args:
            function: of {name: array} to {name: array}.
            kind: hashable; requests of equal function and kind can be concatenated. None is for those that cannot be.
        """
        job = Job(inputs, rows, pixels, time.monotonic(), asyncio.get_running_loop().create_future())
        self.waiting.setdefault((function, object() if kind is None else kind), collections.deque()).append(job)
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self.start)
        self.start()
        return await job.answer

    def start(self):
        """Gives work to free workers."""
        while self.free and (key := self.due()):
            self.free -= 1
            task = asyncio.create_task(self.run(key[0], self.take(key)))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def due(self):
        """A key whose batch is full or whose first job has waited long enough."""
        oldest = time.monotonic() - self.delay + TICK
        for key, jobs in self.waiting.items():
            if jobs[0].since <= oldest or sum(job.rows for job in jobs) >= self.most_rows:
                return key
        return None

    def take(self, key):
        """The jobs of the next batch: one, and those after it that fit."""
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
        jobs = [job for job in jobs if not job.answer.cancelled()]  # their clients are gone
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
        """The answer or the exception of each job. When a batch fails each runs alone, so that only the bad ones fail."""
        if len(jobs) > 1:
            ends = np.cumsum([job.rows for job in jobs])
            with contextlib.suppress(Exception):  # told below by the one that is to blame
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
        """Ends the threads, after what they are at."""
        self.pool.shutdown()
