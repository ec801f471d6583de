"""The same training loops in PyTorch and JAX, written as their users write them; each gives a function of one epoch."""


def torch_epoch(model, x, y, batch_size, rate, momentum, **layout):
    import torch

    x, y = torch.from_numpy(x).to(**layout), torch.from_numpy(y).long()
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=momentum, nesterov=True)
    loss_of = torch.nn.CrossEntropyLoss()

    def epoch():
        model.train()
        total, right = 0.0, 0
        for rows in torch.randperm(len(x)).split(batch_size):
            optimizer.zero_grad(set_to_none=True)
            logits = model(x[rows])
            loss = loss_of(logits, y[rows])
            loss.backward()
            optimizer.step()
            total = total + loss.detach() * len(rows)
            right = right + (logits.detach().argmax(1) == y[rows]).sum()
        return float(total), int(right)

    return epoch


def torch_dense(x, y, batch_size, rate, momentum):
    from torch import nn

    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    return torch_epoch(model, x, y, batch_size, rate, momentum)


def torch_resnet20(x, y, batch_size, rate, momentum):
    import torch
    from torch import nn

    def conv_norm(channels, filters, size, stride):
        conv = nn.Conv2d(channels, filters, size, stride, size // 2, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(filters))

    class Block(nn.Module):
        def __init__(self, channels, filters, stride):
            super().__init__()
            first, second = conv_norm(channels, filters, 3, stride), conv_norm(filters, filters, 3, 1)
            self.branch = nn.Sequential(first, nn.ReLU(), second)
            self.shortcut = conv_norm(channels, filters, 1, stride) if stride > 1 else nn.Identity()

        def forward(self, x):
            return torch.relu(self.branch(x) + self.shortcut(x))

    blocks = [conv_norm(3, 16, 3, 1), nn.ReLU()]
    for channels, filters, stride in (16, 16, 1), (16, 32, 2), (32, 64, 2):
        blocks += [Block(channels, filters, stride), Block(filters, filters, 1), Block(filters, filters, 1)]
    model = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    model = model.to(memory_format=torch.channels_last)
    return torch_epoch(model, x.transpose(0, 3, 1, 2).copy(), y, batch_size, rate, momentum, memory_format=torch.channels_last)


def jax_dense(x, y, batch_size, rate, momentum):
    """One jitted function of an epoch: permutation, `lax.scan` over the full batches, the smaller last batch."""
    import jax
    import jax.numpy as jnp

    x, y = jnp.asarray(x), jnp.asarray(y)
    sizes = (64, 128, 128, 10)
    keys = jax.random.split(jax.random.key(0), len(sizes))
    weights = [
        (jax.random.normal(key, (n_in, n_out)) * (2 / n_in) ** 0.5, jnp.zeros(n_out))
        for key, n_in, n_out in zip(keys, sizes, sizes[1:])
    ]
    velocity = jax.tree.map(jnp.zeros_like, weights)

    def loss_of(weights, x, y):
        for w, b in weights[:-1]:
            x = jax.nn.relu(x @ w + b)
        logits = x @ weights[-1][0] + weights[-1][1]
        loss = -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean()
        return loss, (logits.argmax(1) == y).sum()

    def update(state, rows):
        weights, velocity = state
        (loss, right), gradient = jax.value_and_grad(loss_of, has_aux=True)(weights, x[rows], y[rows])
        velocity = jax.tree.map(lambda v, g: momentum * v - rate * g, velocity, gradient)
        weights = jax.tree.map(lambda w, v, g: w + momentum * v - rate * g, weights, velocity, gradient)
        return (weights, velocity), (loss * len(rows), right)

    @jax.jit
    def epoch_of(state, key):
        order = jax.random.permutation(key, len(x))
        full = len(x) // batch_size
        state, sums = jax.lax.scan(update, state, order[: full * batch_size].reshape(full, batch_size))
        state, last = update(state, order[full * batch_size :])
        return state, jax.tree.map(lambda total, tail: total.sum() + tail, sums, last)

    state, key = (weights, velocity), jax.random.key(1)

    def epoch():
        nonlocal state, key
        key, now = jax.random.split(key)
        state, sums = epoch_of(state, now)
        return jax.block_until_ready(sums)

    return epoch
