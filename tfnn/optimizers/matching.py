"""Finds which state in a file belongs to which weight."""

import collections


def path_of(weight):
    return getattr(weight, "path", weight.name)


def same_kinds(entries, saved):
    """Whether two lists of (name, array) agree, entry by entry, in the kind of state and in shape."""
    kind = lambda name: name.rpartition("/")[2] if "/" in name else ""
    ours, theirs = ([(kind(name), tuple(value.shape)) for name, value in entries] for entries in (entries, saved))
    return ours == theirs


def match(names, saved):
    """For each name, the index in `saved` of the name with the same ending, or None where that is not one to one.

    Keras leaves out the outer parts of a path when it loads a model: "m/dense/kernel" comes back as "dense/kernel".
    """
    ends = collections.defaultdict(list)
    for index, name in enumerate(saved):
        ends[tuple(name.split("/")[-2:])].append(index)

    def fits(name):
        near = ends[tuple(name.split("/")[-2:])]
        same = [index for index in near if saved[index] == name]
        return same or [i for i in near if f"/{saved[i]}".endswith(f"/{name}") or f"/{name}".endswith(f"/{saved[i]}")]

    found = [fits(name) for name in names]
    claims = collections.Counter(index for indices in found for index in indices)
    return [indices[0] if len(indices) == 1 and claims[indices[0]] == 1 else None for indices in found]
