"""The HParams tab: a run `hparams` of its own, whose numbers are the tab's columns.

TensorBoard shows every scalar of the run that holds the hyper-parameters: beside the curves of each layer nobody would
find the loss.
"""

import numbers

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.summary import session_end_pb
from tensorboard.plugins.hparams.summary_v2 import hparams_pb


def checked(hparams):
    """Values that the tab can show: bool, numbers, strings."""
    if not isinstance(hparams, dict):
        raise ValueError(f"hparams={hparams!r} must be a dict of names and numbers, strings or booleans")
    for name, value in hparams.items():
        if not isinstance(name, str) or not isinstance(value, (bool, numbers.Real, str)):
            raise ValueError(f"hparams={{{name!r}: {value!r}}} must be a dict of names and numbers, strings or booleans")
    return dict(hparams)


def begin(events, hparams):
    """Runs of the same values, as those of several seeds, are one trial in the tab."""
    values = {name: v if isinstance(v, (bool, int, float, str)) else float(v) for name, v in hparams.items()}
    events.add(events.begun, summary=hparams_pb(values))


def end(events, logs, step):
    """`logs` are the final metrics."""
    events.scalars({f"final/{name}": value for name, value in logs.items()}, step)
    ended = session_end_pb(api_pb2.STATUS_SUCCESS)
    events.add(step, summary=Summary.FromString(ended.SerializeToString()))  # it is of TensorFlow's class
