"""Checkpoints on disk: named arrays and a dictionary in a directory that is there as a whole, checked, or not at all.

    DIRECTORY/
      .lock                    who holds it may write and tidy up; the kernel frees it when its holder dies
      update-00001234/
        arrays.bin             the arrays' bytes, one after the other
        meta.json              {"arrays": {name: [dtype, shape, offset]}, "meta": ...}
        manifest.json          size and SHA-256 of both, the format's number, and its own SHA-256; written last
      .writing-update-...      half-written; a left-over where its writer was killed
      .replaced-update-...     the former one of that name, until the new one stands in its place
      .removed-update-...      on its way out

A rename puts a checkpoint in its place, after all its bytes were flushed to the disk. Writers take turns by the lock, so
whoever holds it knows that hidden directories are left-overs of killed ones. Where a file system knows no locks, one
writer at a time is taken for granted.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import warnings

import ml_dtypes  # noqa: F401  makes np.dtype("bfloat16") known
import numpy as np

from tfnn.locks import lock

FORMAT = 1
NAME = re.compile(r"update-(\d{8,})")
WRITING, REPLACED, REMOVED = ".writing-", ".replaced-", ".removed-"
ARRAYS, META, MANIFEST, LOCK = "arrays.bin", "meta.json", "manifest.json", ".lock"


class Damaged(ValueError):
    """A checkpoint of which a file is missing, too short or other than what was written."""


def name_of(update):
    """The name of the checkpoint after so many updates: names sort as the updates do."""
    return f"update-{update:08d}"


def update_of(path):
    """The number in a checkpoint's name."""
    return int(NAME.fullmatch(pathlib.Path(path).name)[1])


def names(directory):
    """The names of the checkpoints in `directory`, the oldest first; none where it is absent. They may be damaged.

    Raises:
        ValueError: for a directory that holds other things.
        OSError: for what is no directory, or cannot be read.
    """
    try:
        entries = os.listdir(directory)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise type(error)(error.errno, f"no directory of checkpoints ({error.strerror})", str(directory)) from None
    foreign = sorted(name for name in entries if not name.startswith(".") and not NAME.fullmatch(name))
    if foreign:
        raise ValueError(f"directory {directory} holds other things than checkpoints: {', '.join(foreign[:3])}")
    return in_order(entries)


def in_order(entries):
    return sorted(filter(NAME.fullmatch, entries), key=update_of)


# Writing -------------------------------------------------------------------------------------------------------------


def write(directory, name, arrays, meta):
    """Writes a checkpoint and gives its path. It is there as a whole or not at all, whenever the process ends.

    Args:
        directory: made where it is absent. What else it holds does not matter here: a note that someone leaves there
            must not end a run. `names` and `newest` refuse it, when a run begins.
        name: as `name_of` gives. A checkpoint of that name is replaced, and is not lost before the new one is there.
        arrays: {name: numpy array} of numbers or booleans of any shape.
        meta: what JSON holds: dicts with strings as keys, lists, strings, numbers (infinite ones, too), None.

    Raises:
        ValueError: for another name, and arrays of objects or strings.
        OSError: where the disk is full, say; nothing half-written stays, and the last good checkpoint is named.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"name={name!r} must be 'update-' and eight digits or more")
    table, blocks = laid_out(arrays)
    content = json.dumps({"arrays": table, "meta": meta}).encode()
    directory = pathlib.Path(directory)
    step = "make the directory"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with lock(directory / LOCK):
            tidy(directory)
            new = directory / f"{WRITING}{name}"
            try:
                new.mkdir()
                files = {}
                for file, parts in (ARRAYS, blocks), (META, [content]):
                    step = f"write {file}"
                    files[file] = flushed(new / file, parts)
                step = f"write {MANIFEST}"
                flushed(new / MANIFEST, [manifest_bytes({"format": FORMAT, "files": files})])
                flush_directory(new)
                step = "rename the directory"
                put(new, directory / name)
            except BaseException:  # Ctrl-C, too, leaves nothing half-written
                shutil.rmtree(new, ignore_errors=True)
                raise
    except OSError as error:
        good = newest_good(directory)
        last = f"the last good checkpoint is {good}" if good else "there is no earlier checkpoint"
        message = f"cannot {step} of checkpoint {name} in {directory} ({error.strerror or error}); {last}"
        raise type(error)(error.errno, message) from error
    return directory / name


def make(directory):
    """Makes the directory of checkpoints where it is absent, and finds out early whether it can be written.

    Raises:
        OSError: where it cannot.
    """
    directory = pathlib.Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with lock(directory / LOCK):
            (directory / f"{WRITING}nothing").mkdir(exist_ok=True)
            (directory / f"{WRITING}nothing").rmdir()
    except OSError as error:
        raise type(error)(error.errno, f"cannot make the directory of checkpoints {directory} ({error.strerror})") from None


def laid_out(arrays):
    """({name: [dtype, shape, offset]}, pieces of bytes)."""
    table, blocks, offset = {}, [], 0
    for name, array in arrays.items():
        array = np.asarray(array, order="C")
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if array.dtype.kind not in "biufcV" or np.dtype(array.dtype.name) != array.dtype:  # V: bfloat16 and its like
            raise ValueError(f"array {name!r} must hold numbers or booleans, got {array.dtype}")
        table[name] = [array.dtype.name, list(array.shape), offset]
        blocks.append(array.reshape(-1).view(np.uint8))
        offset += array.nbytes
    return table, blocks


def flushed(path, blocks):
    """Writes the blocks through to the disk; gives [size, SHA-256]."""
    size, digest = 0, hashlib.sha256()
    with open(path, "xb", buffering=0) as file:
        for block in blocks:
            digest.update(block)
            block = memoryview(block)
            size += len(block)
            while len(block):  # a write may take only a part, as before a limit
                block = block[file.write(block) :]
        os.fsync(file.fileno())
    return [size, digest.hexdigest()]


def flush_directory(path):
    """Makes a rename last through a loss of power, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def manifest_bytes(content):
    """The manifest as JSON, with the SHA-256 of the rest as its last entry."""
    text = json.dumps(content)
    return json.dumps({**content, "sha256": hashlib.sha256(text.encode()).hexdigest()}).encode()


def put(new, place):
    old = place.with_name(f"{REPLACED}{place.name}")
    if place.exists():
        os.rename(place, old)
    try:
        os.rename(new, place)
    except BaseException:
        if old.exists():
            os.rename(old, place)
        raise
    flush_directory(place.parent)
    shutil.rmtree(old, ignore_errors=True)


def prune(path, max_to_keep, keep=()):
    """Removes the checkpoints before `path`, the one just written, but for the latest `max_to_keep - 1` of them.

    Those after it are left: a run goes on from the newest intact one, so they are damaged and about to be overwritten.

    Args:
        max_to_keep: the number of checkpoints to keep, `path` included; None keeps all.
        keep: names that are kept besides, as that of the best.
    """
    path = pathlib.Path(path)
    if max_to_keep is None:
        return
    with lock(path.parent / LOCK):
        earlier = [name for name in in_order(os.listdir(path.parent)) if update_of(name) < update_of(path)]
        for name in earlier[: max(0, len(earlier) - max_to_keep + 1)]:
            if name not in keep:
                removed = path.with_name(f"{REMOVED}{name}")
                os.rename(path.with_name(name), removed)
                shutil.rmtree(removed, ignore_errors=True)  # what is left of it the next writer removes


# Left-overs ----------------------------------------------------------------------------------------------------------


def tidy(directory):
    """Removes what killed writers left, and puts back what one was about to replace. For the holder of the lock."""
    for name in os.listdir(directory):
        path = directory / name
        if name.startswith((WRITING, REMOVED)):
            shutil.rmtree(path, ignore_errors=True)
        elif name.startswith(REPLACED):
            place = directory / name.removeprefix(REPLACED)
            if place.exists():
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.rename(path, place)


# Reading -------------------------------------------------------------------------------------------------------------


def read(path):
    """(arrays, meta) of the checkpoint at `path`, after every checksum was found right.

    Raises:
        Damaged: names the file and what is wrong with it.
        ValueError: for a checkpoint of a newer format.
    """
    path = pathlib.Path(path)
    files = manifest_of(path)["files"]
    data, content = (checked(path / file, *files[file]) for file in (ARRAYS, META))
    content = json.loads(content)
    data = np.frombuffer(data, np.uint8)
    arrays = {}
    for name, (dtype, shape, offset) in content["arrays"].items():
        dtype = np.dtype(dtype)
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        arrays[name] = data[offset : offset + size].view(dtype).reshape(shape)
    return arrays, content["meta"]


def manifest_of(path):
    content = bytes_of(path / MANIFEST)
    try:
        manifest = json.loads(content)
        del manifest["sha256"]
        good = manifest_bytes(manifest) == content
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise Damaged(f"{path / MANIFEST} has another checksum than when it was written")
    if manifest["format"] > FORMAT:
        raise ValueError(
            f"{path} was written in format {manifest['format']} by a newer tfnn, and this one reads up to {FORMAT}: update it"
        )
    return manifest


def checked(path, size, sha256):
    with contextlib.suppress(OSError):
        if path.stat().st_size != size:
            raise Damaged(f"{path} has {path.stat().st_size} bytes of {size}: it is truncated or longer than it was written")
    content = bytes_of(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise Damaged(f"{path} has another checksum than when it was written")
    return content


def bytes_of(path):
    try:
        return path.read_bytes()
    except PermissionError:
        raise  # an intact one of somebody else's
    except FileNotFoundError:
        raise Damaged(f"{path} is missing") from None
    except OSError as error:
        raise Damaged(f"{path} cannot be read ({error.strerror})") from None


def newest(directory):
    """(path, arrays, meta) of the newest intact checkpoint, or None where `directory` is absent or holds none.

    A damaged one is passed over with a warning that says why. Left-overs of killed writers are removed.

    Raises:
        ValueError: for a directory that holds other things, or a checkpoint of a newer format.
        OSError: for what is no directory, or cannot be read.
    """
    directory = pathlib.Path(directory)
    names(directory)
    if (directory / LOCK).exists():
        with contextlib.suppress(OSError), lock(directory / LOCK, wait=False) as held:  # OSError: it is only to be read
            if held is not False:
                tidy(directory)
    for name in reversed(names(directory)):
        try:
            return directory / name, *read(directory / name)
        except Damaged as error:
            warnings.warn(f"checkpoint {name} is passed over: {error}", stacklevel=2)
    return None


def newest_good(directory):
    """The name of the newest intact checkpoint, or None."""
    with contextlib.suppress(OSError, ValueError):
        for name in reversed(in_order(os.listdir(directory))):
            with contextlib.suppress(Damaged):
                read(directory / name)
                return name
    return None
