"""A data set by name or path."""

import pathlib

from tfnn.data.archive import archive
from tfnn.data.digits import digits
from tfnn.data.folder import folder
from tfnn.data.known import cifar10, cifar100, fashion_mnist, mnist
from tfnn.data.table import table

NAMED = {"digits": digits, "mnist": mnist, "fashion_mnist": fashion_mnist, "cifar10": cifar10, "cifar100": cifar100}


def load(source, *, skip_bad_images=False, stream=False):
    """The `Dataset` of a name (`digits`, `mnist`, `fashion_mnist`, `cifar10`, `cifar100`) or of a path.

    Args:
        source: a name, a `.npz` file (see `archive`), a folder of class sub-folders (see `folder`), or a `.csv` file of paths
            and labels (see `table`).
        skip_bad_images: whether a folder's or table's unreadable images are passed over.
        stream: whether a folder's or table's images stay in their files until they are asked for (see `folder`).

    Raises:
        FileNotFoundError: where `source` is neither.
        ValueError, ConnectionError: from the loader.
    """
    if source in NAMED:
        return NAMED[source]()
    path, options = pathlib.Path(source), {"skip_bad_images": skip_bad_images, "stream": stream}
    if path.is_dir():
        return folder(path, **options)
    if path.is_file():
        return table(path, **options) if path.suffix.lower() == ".csv" else archive(path)
    raise FileNotFoundError(f"{source}: neither a data set ({', '.join(NAMED)}) nor a .npz or .csv file nor a folder")
