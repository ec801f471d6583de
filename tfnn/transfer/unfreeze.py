"""Stages that are unfrozen as the training goes on."""

import numbers

from tfnn import controls
from tfnn.internals.optimizers import check_known
from tfnn.optimizers import Optimizer
from tfnn.optimizers.nested import optimizers_of
from tfnn.training.resume.state import build_optimizer
from tfnn.transfer.freezing import flags_of, freeze, number_of, stages_of


class Unfreeze(controls.Freezing):
    """Trains more stages of a classifier from epoch to epoch, from the head down (Howard & Ruder 2018, section 3.3).

    Where an epoch of the plan begins, stages are frozen or unfrozen and the graph is traced anew, once. All else goes on: the
    momenta of what is trained already, callbacks, the history, the order of examples. A stage that joins counts its own
    updates, as Adam's bias correction needs it, with tfnn's optimizers; a `.keras` file of a model whose stages have not all
    joined keeps their state, while Keras's optimizers start anew when it is loaded.

    Under `tfnn.fit` and `model.fit`. Without this callback Keras passes over a change of `trainable` after `compile` in
    silence, and `compile` with a new optimizer loses its state.

    Args:
        plan: {epoch: how many of the last stages are trained from there on, an int or "all"}. Before its first epoch the
            model stays as it is.

    Raises:
        ValueError: for a plan that is empty or has other keys and values, and for a model without so many stages.

    Example:
        >>> unfreeze = tfnn.transfer.Unfreeze({0: 0, 10: 1, 20: "all"})
        >>> tfnn.fit(model, images, labels, epochs=30, callbacks=[unfreeze])

    Source: Howard & Ruder 2018, arXiv:1801.06146.
    """

    def __init__(self, plan: dict[int, int | str]) -> None:
        super().__init__()
        if not isinstance(plan, dict) or not plan:
            raise ValueError(f"plan={plan!r} must be a dict {{epoch: number of stages or 'all'}}")
        for epoch in plan:
            if isinstance(epoch, bool) or not isinstance(epoch, numbers.Integral) or epoch < 0:
                raise ValueError(f"plan={plan!r}: the epoch {epoch!r} must be an integer of at least 0")
        self.plan = dict(sorted(plan.items()))

    def set_model(self, model):
        """Makes the optimizer's state of all that the plan trains, before the first trace."""
        super().set_model(model)
        stages = stages_of(model)
        for unfreeze in self.plan.values():
            number_of(unfreeze, len(stages))
        if getattr(model, "optimizer", None) is not None:  # else `fit` says that the model is not compiled
            build(model.optimizer, self.joining(), model)

    def joining(self):
        """What is trained from the start, and what joins with each number of the plan: lists of variables."""
        flags, groups, known = flags_of(self.model), [], set()
        for unfreeze in [*([] if 0 in self.plan else [None]), *self.plan.values()]:
            if unfreeze is not None:
                freeze(self.model, unfreeze)
            groups.append([variable for variable in self.model.trainable_variables if id(variable) not in known])
            known |= set(map(id, groups[-1]))
        for layer, flag in flags.items():
            layer.trainable = flag
        return groups

    def freeze_for(self, epoch):
        begun = [unfreeze for start, unfreeze in self.plan.items() if start <= epoch]
        if begun:
            freeze(self.model, begun[-1])

    def on_epoch_begin(self, epoch, logs=None):
        flags = flags_of(self.model)
        self.freeze_for(epoch)
        if flags != flags_of(self.model) and controls.current() is None:
            self.model.make_train_function(force=True)  # which Keras's fit looks up at each batch


def build(optimizer, groups, model):
    """Makes an optimizer's state of all `groups` of variables, which join tfnn's optimizers one after the other.

    A Keras optimizer gets them in the model's order, by which it reads a file of a model all of whose stages are trained.
    """
    places = {id(variable): place for place, variable in enumerate(model.variables)}
    every = sorted((variable for group in groups for variable in group), key=lambda variable: places[id(variable)])
    for part in optimizers_of(optimizer):
        if isinstance(part, Optimizer):
            for group in groups:
                build_optimizer(part, group)
            part.put_in_order(model.trainable_variables)
    if not optimizer.built:
        optimizer.build(every)
    parts = optimizers_of(optimizer)
    try:
        if len(parts) == 1:  # those of a `MultiOptimizer` have a part of the variables each
            check_known(parts[0], every)
    except ValueError:
        raise ValueError(
            f"optimizer {parts[0].name!r} was built for fewer stages than the plan of Unfreeze trains, and Keras's optimizers"
            " take none in later: compile the model anew, or with one of tfnn.optimizers"
        ) from None
