"""Stratified splits."""

import numpy as np


def stratified(labels, sizes, seed):
    """Deals examples to parts so that each class is spread over the parts in proportion to their sizes.

    Args:
        labels: int array (N,).
        sizes: the number of examples in each part; they sum to N.
        seed: an int; the split depends on it and the labels alone.

    Returns:
        int array (N,): the part of each example.
    """
    labels, sizes = np.asarray(labels), np.asarray(sizes)
    classes, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    deal = largest_remainder(np.outer(counts, sizes) / len(labels), counts, sizes)
    part = np.empty(len(labels), int)
    random = np.random.RandomState(seed)  # its numbers never change, unlike those of numpy's newer generators
    for index in range(len(classes)):
        members = random.permutation(np.flatnonzero(inverse == index))
        part[members] = np.repeat(np.arange(len(sizes)), deal[index])
    return part


def largest_remainder(quota, rows, columns):
    """Rounds a table to integers that have the given row and column sums: all down, then up where the remainder is largest."""
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
