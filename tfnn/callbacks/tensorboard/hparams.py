"""Writes the HParams tab: a separate run `hparams`, whose numbers are the columns of the tab.

The tab shows every scalar of the run that holds the hyper-parameters; among the curves of each layer nobody would find the
loss.
"""

import numbers

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.summary import session_end_pb
from tensorboard.plugins.hparams.summary_v2 import hparams_pb


def checked(hparams):
    """`hparams` as a dict, if the tab can show its values: booleans, numbers, strings."""
    if not isinstance(hparams, dict):
        raise ValueError(f"hparams={hparams!r} must be a dict of names and numbers, strings or booleans")
    for name, value in hparams.items():
        if not isinstance(name, str) or not isinstance(value, (bool, numbers.Real, str)):
            raise ValueError(f"hparams={{{name!r}: {value!r}}} must be a dict of names and numbers, strings or booleans")
    return dict(hparams)


def begin(events, hparams):
    """Writes the values. Runs with the same values, such as those of several seeds, are one trial in the tab."""
    values = {name: v if isinstance(v, (bool, int, float, str)) else float(v) for name, v in hparams.items()}
    events.add(events.begun, summary=hparams_pb(values))


def end(events, logs, step):
    """Writes the final metrics, `logs`, and the end of the session."""
    events.scalars({f"final/{name}": value for name, value in logs.items()}, step)
    ended = session_end_pb(api_pb2.STATUS_SUCCESS)
    events.add(step, summary=Summary.FromString(ended.SerializeToString()))  # `ended` is of TensorFlow's class
