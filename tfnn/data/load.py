"""A data set by name or path."""

import os
import pathlib
from collections.abc import Sequence

from tfnn.data.archive import archive
from tfnn.data.dataset import Dataset
from tfnn.data.digits import digits
from tfnn.data.folder import folder
from tfnn.data.known import cifar10, cifar100, fashion_mnist, mnist
from tfnn.data.table import table

NAMED = {"digits": digits, "mnist": mnist, "fashion_mnist": fashion_mnist, "cifar10": cifar10, "cifar100": cifar100}


def load(
    source: str | os.PathLike,
    *,
    image_size: Sequence[int] | None = None,
    skip_bad_images: bool = False,
    class_names: Sequence[str] | None = None,
    stream: bool = False,
) -> Dataset:
    """The `Dataset` of a name (`digits`, `mnist`, `fashion_mnist`, `cifar10`, `cifar100`) or of a path.

    Args:
        source: a name, a `.npz` file (see `archive`), a folder of class sub-folders (see `folder`), or a `.csv` file of paths
            and labels (see `table`).
        image_size, skip_bad_images, class_names, stream: see `folder`. They are for folders and tables; the other sets are
            arrays in memory with a size and class names of their own.

    Raises:
        FileNotFoundError: if `source` is neither a name nor a path that exists.
        ValueError, ConnectionError: from the loader; ValueError also for `class_names` of a set of arrays.

    Example:
        >>> data = tfnn.data.load("digits")
        >>> history = tfnn.fit(model, data.train.x / 16, data.train.y, epochs=1, verbose=0)
    """
    path = pathlib.Path(source)
    is_folder = source not in NAMED and path.is_dir()
    if is_folder or (path.suffix.lower() == ".csv" and path.is_file()):
        read = folder if is_folder else table
        return read(path, image_size, skip_bad_images=skip_bad_images, class_names=class_names, stream=stream)
    if class_names is not None:
        raise ValueError(f"{source}: class_names are for a folder or a .csv file, this set has its own")
    if source in NAMED:
        return NAMED[source]()
    if path.is_file():
        return archive(path)
    raise FileNotFoundError(f"{source}: neither a data set ({', '.join(NAMED)}) nor a .npz or .csv file nor a folder")
