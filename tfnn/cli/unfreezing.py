"""`--unfreeze` says how many of a backbone's last stages are trained from which epoch on."""

from tfnn import transfer


def advised(options, data, stages):
    """The plan for a run without `--unfreeze`.

    The fewer examples there are, the more stages stay frozen (`tfnn.transfer.advise`). A backbone with random weights has
    learnt nothing, so all of it is trained from the start.
    """
    if options.weights == "none":
        return {0: "all"}
    advice = transfer.advise(len(data.train.y), len(data.class_names))
    return head_first(min(advice, stages) if advice != "all" else advice, options.epochs)


def head_first(stages, epochs):
    """The plan {epoch: stages} that trains the head alone for the first half of the epochs, then the last stages with it."""
    half = -(-epochs // 2)
    return {0: 0} if stages == 0 or half == epochs else {0: 0, half: stages}


def plan_of(text, epochs, stages):
    """The plan {epoch: stages} that was typed: a number such as "2", "all", or a plan such as "10:1,15:all".

    Until the first epoch of a plan, the head is trained alone.

    Raises:
        ValueError: for other words, epochs that the run does not have, and more stages than there are.
    """
    steps = [step.split(":") for step in text.split(",")] if ":" in text else [["0", text]]
    try:
        steps = [(int(epoch), number if number == "all" else int(number)) for epoch, number in steps]
    except ValueError:
        raise ValueError(f"--unfreeze {text}: wanted is 0 to {stages}, all, or epochs and stages such as 10:1,15:all") from None
    plan = dict(sorted(steps))
    if len(plan) < len(steps):
        raise ValueError(f"--unfreeze {text}: an epoch stands there twice")
    for epoch, number in plan.items():
        if number != "all" and not 0 <= number <= stages:
            raise ValueError(f"--unfreeze {text}: this backbone has {stages} stages, got {number}")
        if not 0 <= epoch < epochs:
            raise ValueError(f"--unfreeze {text}: a run of {epochs} epochs takes 0 to {epochs - 1} before a colon, got {epoch}")
    if ":" in text:
        return {0: 0} | plan  # until then the network is frozen, and its features are computed once
    if epochs == 1 and plan[0]:
        raise ValueError(f"--unfreeze {text}: no epoch follows that of the head; give --epochs 2, or --unfreeze 0:{text}")
    return head_first(plan[0], epochs)


def words(plan, names):
    """Says in one line which stages are trained when. Epochs count from 1, as in what Keras prints."""
    told = []
    for epoch, number in plan.items():
        trained = names if number == "all" else names[len(names) - number :]
        told.append(f"from epoch {epoch + 1} {' '.join([*trained, 'and the head']) if trained else 'the head alone'}")
    return ", ".join(told)
