"""Files that are there as a whole or not at all."""

import pathlib


def write(path, content):
    """Writes bytes to a hidden file beside `path`, which then takes its place.

    Raises:
        OSError: names the file; nothing half-written stays.
    """
    path = pathlib.Path(path)
    hidden = path.with_name(f".{path.name}")
    try:
        hidden.write_bytes(content)
        hidden.replace(path)
    except OSError as error:
        hidden.unlink(missing_ok=True)
        raise OSError(f"{path}: cannot be written: {error.strerror}") from None
