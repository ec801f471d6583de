"""Choose the batch size by the measured noise of gradients (McCandlish et al. 2018; lecture, section 4)."""

import math

from tfnn.callbacks import largest
from tfnn.callbacks.noise_scale import NoiseScale
from tfnn.checks import positive
from tfnn.controls import BatchSteering


def grown(batch_size, critical, target, micro_batch, most):
    """target · B_simple in whole micro-batches, but neither below the batch in force nor above twice that or `most`."""
    wanted = min(target * critical, 2 * batch_size, most) // micro_batch * micro_batch
    return max(batch_size, int(wanted))


class GrowBatchByNoise(NoiseScale, BatchSteering):
    """Grows the batch of `tfnn.fit` with the measured critical batch size: b = target · B_simple, held in [b_0, max].

    While gradients agree, a small batch is enough. As they become mere noise, B_simple = tr Σ / |G|² rises by one or two
    orders of magnitude in a run (McCandlish et al. 2018, arXiv:1812.06162, section 4). So η/b falls as with a decay of the
    rate (Smith et al. 2018, arXiv:1711.00489), but without a schedule. It measures and logs the same as `NoiseScale`.

    A size is chosen at the start of each epoch, in whole micro-batches. It never shrinks, and at most doubles at a time,
    because B_simple is infinite while |G|² is lost in the noise. The rate stays as it is.

    On the digits (`python -m tests.benchmarks noise`: a dense net, 30 epochs, ten seeds, interval=4, max_batch_size=256),
    beginning with 32 examples, it reached the test accuracy of the tuned fixed batch with half of its updates: 97.97% in 627
    (target=0.5) against 98.00% in 1200 (32 examples), a difference of −0.03 ± 0.12 points (90%). Both sides were tuned by the
    validation loss. If only updates count, a larger fixed batch and rate serve about as well: 97.83% in 150 updates, with 256
    examples at four times the rate.

    Args:
        target: b / B_simple.
        max_batch_size: the most examples of an update. None is a tenth of the training examples, beyond which, by Smith et
            al., the relation of η and b no longer holds, but at least the first batch.
        interval, smoothing: as for `NoiseScale`.

    Raises:
        ValueError: for arguments out of range; when the run begins, for an `accumulate` of 1, with which nothing can be
            measured, for a maximum below the first batch or above the number of training examples, and for data of unknown
            length without a maximum.
        RuntimeError: under `model.fit`.

    Example:
        >>> growth = tfnn.callbacks.GrowBatchByNoise(max_batch_size=512)
        >>> tfnn.fit(model, x, y, batch_size=16, accumulate=2, epochs=30, callbacks=[growth])
    """

    def __init__(
        self, target: float = 1.0, max_batch_size: int | None = None, interval: int = 50, smoothing: float = 0.9
    ) -> None:
        super().__init__(interval, smoothing)
        self.target, self.max_batch_size, self.mode = positive("target", target), largest.checked(max_batch_size), "accumulate"

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        critical, most = self.total.critical_batch_size, self.most()
        if not math.isnan(critical):
            held = self.controls
            size = grown(held.batch_size, critical, self.target, held.micro_batch, most)
            if size > held.batch_size:
                held.set_batch_size(size)

    def most(self):
        """The bound of the batch size."""
        first, rows, most = self.controls.first_batch_size, self.population, self.max_batch_size
        if first == self.controls.micro_batch:
            raise ValueError("GrowBatchByNoise needs two micro-batches to begin with: give tfnn.fit accumulate=2 or more")
        if most is None and not rows:
            raise ValueError("GrowBatchByNoise needs max_batch_size, as nobody knows how many training examples there are")
        if most is None:
            return max(first, rows // 10)
        largest.check_range(most, first, rows)
        return most
