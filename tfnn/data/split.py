"""Stratified splits."""

import numpy as np


def stratified(labels, sizes, seed):
    """Deals examples to parts so that each class is spread over the parts in proportion to their sizes.

    Args:
        labels: int array (N,).
        sizes: examples of each part; they sum to N.
        seed: an int; the split is a function of it and the labels.

    Returns:
        int array (N,): the part of each example.
    """
    labels, sizes = np.asarray(labels), np.asarray(sizes)
    classes, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    deal = largest_remainder(np.outer(counts, sizes) / len(labels), counts, sizes)
    part = np.empty(len(labels), int)
    random = np.random.RandomState(seed)  # its stream is frozen, unlike that of numpy's newer generators
    for index in range(len(classes)):
        members = random.permutation(np.flatnonzero(inverse == index))
        part[members] = np.repeat(np.arange(len(sizes)), deal[index])
    return part


def largest_remainder(quota, rows, columns):
    """Rounds a table of quotas to integers with the given row and column sums: down first, then up by largest remainder."""
    table = np.floor(quota).astype(int)
    rows, columns = rows - table.sum(1), columns - table.sum(0)
    order = np.argsort(table - quota, axis=None, kind="stable")
    while rows.any():
        for row, column in zip(*np.unravel_index(order, quota.shape)):
            if rows[row] and columns[column]:
                table[row, column] += 1
                rows[row] -= 1
                columns[column] -= 1
    return table
