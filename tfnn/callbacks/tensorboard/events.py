"""Writes event files for TensorBoard; the only place that knows its protocol buffers.

They are written in Python, as an operation of TensorFlow for each number would cost as much as a small update.
"""

import os
import time

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

SCALAR = scalar_metadata.create_summary_metadata("", "")


class Events:
    """The event file of one run in TensorBoard, made at the first event.

    Args:
        directory: the directory of the run.
        begun: the step at which this session begins. A killed session may have written beyond its last checkpoint, so the
            file begins with a START at `begun` + 1: from there on TensorBoard drops what earlier files of the run hold.
    """

    def __init__(self, directory, begun):
        self.directory, self.begun, self.writer = os.fspath(directory), begun, None

    def add(self, step=0, **event):
        if self.writer is None:
            self.writer = EventFileWriter(self.directory)
            self.add(self.begun + 1, session_log=SessionLog(status=SessionLog.START))
        self.writer.add_event(Event(wall_time=time.time(), step=step, **event))

    def scalars(self, values, step):
        """Writes {tag: number} as one event."""
        if values:
            summary = Summary()
            for tag, value in values.items():
                summary.value.add(tag=tag, metadata=SCALAR, tensor=TensorProto(dtype=1, float_val=[value]))  # 1: float32
            self.add(step, summary=summary)

    def histogram(self, tag, values, step):
        """Writes a histogram of the finite `values`; there are no buckets for others."""
        values = np.asarray(values, np.float64).ravel()
        self.add(step, summary=histogram_pb(tag, values[np.isfinite(values)]))

    def images(self, tag, pixels, step):
        """Writes `pixels`, uint8 (B, H, W, 1, 3 or 4)."""
        size = [str(pixels.shape[2]).encode(), str(pixels.shape[1]).encode()]
        encoded = [tf.io.encode_png(image).numpy() for image in pixels]
        self.tensor(tag, size + encoded, image_metadata.create_summary_metadata("", "", converted_to_tensor=True), step)

    def text(self, tag, markdown, step):
        self.add(step, summary=text_pb(tag, markdown))

    def tensor(self, tag, value, metadata, step):
        self.add(step, summary=Summary(value=[Summary.Value(tag=tag, tensor=make_tensor_proto(value), metadata=metadata)]))

    def graph(self, graph):
        """Writes the operations of a `tf.Graph`."""
        self.add(graph_def=graph.as_graph_def(add_shapes=True).SerializeToString())

    def keras_graph(self, model):
        """Writes the layers of a Functional or Sequential model, as Keras's callback does."""
        plugin = SummaryMetadata.PluginData(plugin_name="graph_keras_model", content=b"1")
        self.tensor("keras", model.to_json(), SummaryMetadata(plugin_data=plugin), 0)

    def flush(self):
        if self.writer is not None:
            self.writer.flush()

    def close(self):
        if self.writer is not None:
            self.writer.close()
            self.writer = None


class Runs(dict):
    """{name: `Events`} of the runs under one directory."""

    def __init__(self, directory, begun):
        super().__init__()
        self.directory, self.begun = directory, begun

    def __missing__(self, name):
        self[name] = Events(os.path.join(self.directory, name), self.begun)
        return self[name]

    def flush(self):
        for events in self.values():
            events.flush()

    def close(self):
        for events in self.values():
            events.close()


def table(rows):
    """{name: value} as a Markdown table. A `|` in a value is escaped, as it would end the cell."""
    cell = lambda value: str(value).replace("|", "\\|").replace("\n", "<br>")
    return "\n".join(["| name | value |", "|---|---|", *(f"| {cell(name)} | {cell(value)} |" for name, value in rows.items())])
