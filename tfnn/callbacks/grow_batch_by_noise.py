"""Let the measured noise of gradients choose the batch size (McCandlish et al. 2018; lecture, section 4)."""

import math

from tfnn.callbacks import largest
from tfnn.callbacks.noise_scale import NoiseScale
from tfnn.checks import positive
from tfnn.controls import BatchSteering


def grown(batch_size, critical, target, micro_batch, most):
    """target · B_simple, in whole micro-batches: not below the batch in force, nor above twice that or `most`."""
    wanted = min(target * critical, 2 * batch_size, most) // micro_batch * micro_batch
    return max(batch_size, int(wanted))


class GrowBatchByNoise(NoiseScale, BatchSteering):
    """Grows the batch of `tfnn.fit` with the critical batch size that is measured: b = target · B_simple, held in [b_0, max].

    While gradients agree a small batch is enough; as they come to be all noise, B_simple = tr Σ / |G|² rises, by one or two
    orders of magnitude in a run (McCandlish et al. 2018, arXiv:1812.06162, section 4), and η/b falls as by a decay of the
    rate (Smith et al. 2018, arXiv:1711.00489), without a schedule. It measures as `NoiseScale` does and tells the same.

    A size is chosen at the start of each epoch, in whole micro-batches. It never shrinks and at most doubles at a time, as a
    |G|² that is lost in the noise for a while makes B_simple infinite. The rate stays as it is.

    On the digits (`python -m tests.benchmarks noise`: a dense net, 30 epochs, ten seeds, interval=4, max_batch_size=256),
    beginning with 32 examples, it reached the test accuracy of the tuned fixed batch with half of its updates: 97.97% in 627
    (target=0.5) against 98.00% in 1200 (32 examples), a difference of −0.03 ± 0.12 points (90%). Both sides were tuned by the
    validation loss. Who counts updates alone has about as much from a larger fixed batch and rate: 97.83% in 150, of 256 at
    four times the rate.

    Args:
        target: b / B_simple.
        max_batch_size: examples of an update; None: a tenth of the training examples, beyond which by Smith et al. the
            relation of η and b ends, but at least the first batch.
        interval, smoothing: as for `NoiseScale`.

    Raises:
        ValueError: for arguments out of range; when the run begins, for an `accumulate` of 1, from which nothing is measured,
            a maximum below the first batch or above the number of training examples, and data of unknown length without a
            maximum.
        RuntimeError: under `model.fit`.

    Example:
        >>> growth = tfnn.callbacks.GrowBatchByNoise(max_batch_size=512)
        >>> tfnn.fit(model, x, y, batch_size=16, accumulate=2, epochs=30, callbacks=[growth])
    """

    def __init__(self, target=1.0, max_batch_size=None, interval=50, smoothing=0.9):
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
        """The bound of the batch."""
        first, rows, most = self.controls.first_batch_size, self.population, self.max_batch_size
        if first == self.controls.micro_batch:
            raise ValueError("GrowBatchByNoise needs two micro-batches to begin with: give tfnn.fit accumulate=2 or more")
        if most is None and not rows:
            raise ValueError("GrowBatchByNoise needs max_batch_size, as nobody knows how many training examples there are")
        if most is None:
            return max(first, rows // 10)
        largest.check_range(most, first, rows)
        return most
