"""What `compile` left in a model, and the parts of Keras's training loop: losses, metrics, logs, epochs."""

from tfnn.internals.lookup import part

# Losses --------------------------------------------------------------------------------------------------------------


def has_loss(model):
    """Whether `compile` was given a loss. Keras 3.12 to 3.15; raises without `_compile_loss`."""
    return part(model, "_compile_loss") is not None


def losses_of(model):
    """[(path in the labels, loss)] of a model that is built; else []. Keras 3.12 to 3.15; raises without `_flat_losses`."""
    if not has_loss(model):
        return []
    return [(loss.path, loss.loss) for loss in part(part(model, "_compile_loss"), "_flat_losses") or []]


def compute_loss(model, x, y, y_pred, sample_weight, training):
    """The loss, by a `compute_loss` of the model's own, too. Keras 3.12 to 3.15; raises without `_compute_loss`."""
    return part(model, "_compute_loss")(x, y, y_pred, sample_weight, training=training)


def loss_mean(model):
    """The `Mean` of the loss over examples; None if not compiled. Keras 3.12 to 3.15; raises without `_loss_tracker`."""
    return part(model, "_loss_tracker")


# Metrics -------------------------------------------------------------------------------------------------------------


def metrics_given(model):
    """[metrics, weighted_metrics] as `compile` was given, or None. Keras 3.12 to 3.15; raises without `_user_metrics`."""
    metrics = part(model, "_compile_metrics")
    return metrics and [part(metrics, "_user_metrics"), part(metrics, "_user_weighted_metrics")]


def metrics_of(model):
    """[(output's name or None, metric)] of those given, once built. Keras 3.12 to 3.15; raises without `_flat_metrics`."""
    metrics = part(model, "_compile_metrics")
    if not (metrics and metrics.built):
        return []
    groups = [*part(metrics, "_flat_metrics"), *part(metrics, "_flat_weighted_metrics")]
    return [(part(group, "output_name"), metric) for group in groups if group for metric in group.metrics]


def every_metric(model):
    """All metrics one by one: `model.metrics` has those of `compile` as one. Keras 3.12 to 3.15; as one without `metrics`."""
    return [one for metric in model.metrics for one in getattr(metric, "metrics", [metric])]


def update_metrics(model, y, y_pred, sample_weight):
    """Updates the metrics given to `compile`, if any. Keras 3.12 to 3.15; raises without `_compile_metrics`."""
    metrics = part(model, "_compile_metrics")
    if metrics is not None:
        metrics.update_state(y, y_pred, sample_weight)


def results_of(model, logs):
    """The metrics' results, or `logs` where a step of the model's own told other names. Keras 3.12 to 3.15; else raises."""
    return part(model, "_get_metrics_result_or_logs")(logs)


def in_order(model, logs):
    """The values of `logs` as `evaluate` lists them. Keras 3.12 to 3.15; raises without `_flatten_metrics_in_order`."""
    return part(model, "_flatten_metrics_in_order")(logs)


# Running -------------------------------------------------------------------------------------------------------------


def build(model, spec):
    """Makes the variables of model, loss and metrics, for a batch like `spec`. Keras 3.12 to 3.15; else raises."""
    part(model, "_symbolic_build")(data_batch=spec)


def forget_training(model):
    """Has `model.fit` trace its function anew. Keras 3.12 to 3.15; raises without `train_function`."""
    part(model, "train_function")
    model.train_function = None


def restored_epoch(model):
    """The epoch that a callback set in `on_train_begin`, or None. Keras 3.12 to 3.15; raises without `_initial_epoch`."""
    return part(model, "_initial_epoch")


def validates(model, epoch, frequency):
    """Whether validation follows an epoch, by `validation_freq`. Keras 3.12 to 3.15; raises without `_should_eval`."""
    return part(model, "_should_eval")(epoch, frequency)
