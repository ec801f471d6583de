"""Unfreezes stages in the course of training."""

from tfnn import controls
from tfnn.checks import integer
from tfnn.controls.nested import optimizers_of
from tfnn.internals.optimizers import check_known
from tfnn.optimizers import Optimizer
from tfnn.training.resume.state import build_optimizer
from tfnn.transfer.freezing import flags_of, freeze, number_of, stages_of


class Unfreeze(controls.Freezing):
    """Trains more stages of a classifier from epoch to epoch, from the head down (Howard & Ruder 2018, section 3.3).

    At the start of an epoch in the plan, stages are frozen or unfrozen and the graph is traced once more. All else
    continues: the momenta of layers that are already trained, callbacks, the history, the order of examples. With tfnn's
    optimizers, a stage that joins counts its own updates, as Adam's bias correction requires; and a `.keras` file that is
    saved before all stages have joined keeps the optimizer's state, which with Keras's optimizers is lost on loading.

    It works in `tfnn.fit` and `model.fit`. Without this callback, Keras silently ignores a change of `trainable` after
    `compile`, and another `compile` with a new optimizer loses the state of the old one.

    Args:
        plan: {epoch: how many of the last stages are trained from then on, an int or "all"}. Before the first of these
            epochs the model stays as it is.

    Raises:
        ValueError: if the plan is empty or has other keys or values, or the model has fewer stages.

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
            integer(f"plan={plan!r}: an epoch", epoch)
        self.plan = dict(sorted(plan.items()))

    def set_model(self, model):
        """Makes the optimizer's state for all variables that the plan trains, before the first trace."""
        super().set_model(model)
        stages = stages_of(model)
        for unfreeze in self.plan.values():
            number_of(unfreeze, len(stages))
        if getattr(model, "optimizer", None) is not None:  # without one, `fit` reports that the model is not compiled
            build(model.optimizer, self.joining(), model)

    def joining(self):
        """Lists of variables: those trained from the start, and those that join at each epoch of the plan."""
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
            self.model.make_train_function(force=True)  # Keras's fit looks it up at each batch


def build(optimizer, groups, model):
    """Makes an optimizer's state for all `groups` of variables. They join tfnn's optimizers one after the other.

    A Keras optimizer gets them in the model's order, because it loads the file of a fully trained model in that order.
    """
    places = {id(variable): place for place, variable in enumerate(model.variables)}
    every = sorted((variable for group in groups for variable in group), key=lambda variable: places[id(variable)])
    for part in optimizers_of(optimizer):
        if isinstance(part, Optimizer):
            for group in groups:
                build_optimizer(part, group, model)
            part.put_in_order(model.trainable_variables)
    if not optimizer.built:
        optimizer.build(every)
    parts = optimizers_of(optimizer)
    try:
        if len(parts) == 1:  # each part of a `MultiOptimizer` has some of the variables
            check_known(parts[0], every)
    except ValueError:
        raise ValueError(
            f"optimizer {parts[0].name!r} was built for fewer stages than the plan of Unfreeze trains, and Keras's optimizers"
            " cannot add any later: compile the model anew, or with one of tfnn.optimizers"
        ) from None
