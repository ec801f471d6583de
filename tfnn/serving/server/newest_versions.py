"""Serves the newest version of every bundle below a folder, and switches when a newer one appears.

MLServer's own registry sends requests to a new version before it is loaded, and so refuses them meanwhile. Here a version is
loaded and warmed up beside the old one. Then one assignment switches over, and the old version is freed when its last request
is answered.
"""

import asyncio
import gc
import logging
import pathlib

from tfnn.serving.server.refused import Refused

log = logging.getLogger(__name__)


class Models:
    """The registry that MLServer's handlers ask for models.

    Args:
        folder: holds NAME/VERSION/saved_model.pb; or is NAME.
        load: a function of (name, path) that returns a model ready to answer, or raises ValueError.
    """

    def __init__(self, folder, load):
        self.folder, self.load = pathlib.Path(folder), load
        self.served = {}
        self.refused = {}  # {path: its fingerprint when it could not be loaded}

    async def get_model(self, name, version=None):
        """
        Raises:
            Refused: if the name or the version is not served.
        """
        model = self.served.get(name)
        if model is None or version not in (None, "", model.version):
            served = ", ".join(f"{name} (version {model.version})" for name, model in self.served.items()) or "nothing"
            raise Refused(f"no model {name[:100]}{f' of version {version[:20]}' if version else ''}; served: {served}", 404)
        return model

    async def get_models(self, name=None):
        return list(self.served.values())

    async def watch(self, seconds):
        """Looks for changes every `seconds`, for ever."""
        lost = False
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.refresh()
                lost = False
            except OSError as error:
                if not lost:
                    log.warning("%s: %s; what was loaded is served on", self.folder, error.strerror)
                lost = True

    async def refresh(self):
        """Loads versions newer than those served, and drops models whose folders are gone."""
        found = await asyncio.to_thread(bundles, self.folder)
        for name in set(self.served) - set(found):
            log.warning("%s: gone from %s, no longer served", name, self.folder)
            del self.served[name]
        for name, versions in found.items():
            await self.update(name, versions)

    async def update(self, name, versions):
        """Serves the newest version that can be loaded. One that could not be is tried again once its files have changed."""
        for version in sorted(versions, key=lambda path: int(path.name), reverse=True):
            old = self.served.get(name)
            if old is not None and old.version == version.name:
                return
            files = await asyncio.to_thread(fingerprint, version)
            if self.refused.get(version) == files:
                continue
            try:
                self.served[name] = model = await asyncio.to_thread(self.load, name, version)
            except Exception as error:  # whatever the error is, the old version is still served
                self.refused[version] = files
                log.error("%s: version %s refused: %s", name, version.name, " ".join(str(error).split()))
                continue
            signatures = ", ".join(model.signatures)
            log.info("%s: version %s%s: %s", name, version.name, f" replaces {old.version}" if old else "", signatures)
            del old, model
            await asyncio.to_thread(gc.collect)  # a SavedModel's objects refer to each other
            return


def bundles(folder):
    """{name: paths of its versions} of all bundles in the folder."""
    own = versions(folder)
    if own:
        return {folder.resolve().name: own}
    children = [child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")]
    return {child.name: found for child in sorted(children) if (found := versions(child))}


def versions(folder):
    return [child for child in folder.iterdir() if child.name.isdecimal() and (child / "saved_model.pb").is_file()]


def fingerprint(path):
    """The size and the time of every file."""
    stats = [(str(file), file.stat()) for file in sorted(path.rglob("*"))]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
