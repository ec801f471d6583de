"""Says in words what the layers' numbers mean: what is wrong, in which direction, and where."""

import itertools
import math
from typing import NamedTuple

# FOLD limits the change of a variance or squared norm over the depth. Among the nets of He et al. 2015, section 2.2, one of
# 22 layers, whose gradients fall 2²¹ = 2e6-fold, still learns, but late; one of 30 layers with 2²⁹ = 5e8 stalls, and so does
# VGG-B with 3e8. Ten nets of keras.applications, from VGG16 to NASNetMobile, were found healthy at their start.
FOLD = 1e6
DEAD = 0.9  # share of a layer's units; in a deep net examples become alike, and up to half of the units are 0 for all of them
SATURATED = 0.5  # share of a layer's outputs


def verdict(layers, loss):
    """One line that begins with "healthy", or with what is wrong; several findings are separated by semicolons.

    - NaN or infinity in the output of a layer, else in the loss, else in a gradient; the line names the first place.
    - nothing learns: every weight is frozen.
    - dead units: the dead share of a layer is at least `DEAD`.
    - saturated units: the saturated share of a layer before the predictions is at least `SATURATED`.
    - vanishing or exploding activations: their variance falls more than `FOLD`-fold from its peak to the last layer before
      the predictions, or grows more than that from the first layer to its peak.
    - vanishing or exploding gradients: their squared norm, Σ g² of an example, does the same on the way back. Unlike the
      variance, it is not lowered by pooling, which spreads each gradient over many positions.

    The first layer is the first that learns. A branch that gives zeros, as a residual branch may at the start, does not
    count as a fall if layers after it give more.
    """
    broken = not_finite(layers, loss)
    if broken:
        return broken
    if all(layer.weight_norm is None for layer in layers):
        return "nothing learns: no layer has a weight that is not frozen"
    first = next((index for index, layer in enumerate(layers) if layer.weight_norm is not None), 0)
    hidden = [layer for layer in layers[first:] if not layer.prediction]
    back = [layer for layer in reversed(layers[first:]) if layer.gradient is not None]
    forward = Flow("activations", "variance", "to", [(layer.path, layer.activation.variance) for layer in hidden])
    backward = Flow("gradients", "squared norm", "back to", [(layer.path, layer.gradient.square) for layer in back])
    flows = [flow for flow in (forward, backward) if flow.values]
    findings = [
        share("dead", "of its units give 0 for every example", DEAD, [(layer.path, layer.dead) for layer in layers]),
        share("saturated", "of its outputs lie at a bound", SATURATED, [(layer.path, layer.saturated) for layer in hidden]),
        *(change(flow) for flow in flows for change in (fall, growth)),
    ]
    return "; ".join(filter(None, findings)) or ": ".join(filter(None, ["healthy", "; ".join(map(course, flows))]))


class Flow(NamedTuple):
    """A quantity along the layers. `values`: [(path, value)] in the direction of its flow."""

    what: str
    measure: str
    to: str
    values: list


def not_finite(layers, loss):
    for layer in layers:
        if not math.isfinite(layer.activation.variance):
            return f"NaN or infinity, first in the output of layer {layer.path!r}"
    if not math.isfinite(loss):
        return "NaN or infinity, first in the loss"
    for layer in reversed(layers):
        if layer.gradient is not None and not math.isfinite(layer.gradient.variance):
            return f"NaN or infinity, first in the gradient of layer {layer.path!r}, on the way back"
    return None


def share(what, meaning, limit, shares):
    found = [(path, value) for path, value in shares if value is not None and value >= limit]
    if not found:
        return None
    path, value = found[0]
    where = f"layer {path!r}" if len(found) == 1 else f"{len(found)} layers, first in {path!r}"
    return f"{what} units in {where}: {value:.0%} {meaning}"


def fall(flow):
    (end, last), (peak, most) = flow.values[-1], max(flow.values, key=lambda entry: entry[1])
    if last == 0:
        *_, (silent, _) = itertools.takewhile(lambda entry: entry[1] == 0, reversed(flow.values))
        return f"vanishing {flow.what}: their {flow.measure} is 0 from {silent!r} {flow.to} {end!r}"
    if most > FOLD * last:
        return f"vanishing {flow.what}: their {flow.measure} falls {most / last:.1e}-fold from {peak!r} {flow.to} {end!r}"
    return None


def growth(flow):
    (start, first), (peak, most) = flow.values[0], max(flow.values, key=lambda entry: entry[1])
    if most > FOLD * first > 0:
        return f"exploding {flow.what}: their {flow.measure} grows {most / first:.1e}-fold from {start!r} {flow.to} {peak!r}"
    return None


def course(flow):
    (start, first), (end, last) = flow.values[0], flow.values[-1]
    return f"{flow.measure} of {flow.what} {first:.1e} in {start!r} {flow.to} {last:.1e} in {end!r}"
