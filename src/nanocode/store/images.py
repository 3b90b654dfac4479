"""File contents kept by their digest, in a folder or in memory; knows nothing of what they are kept for."""

import os
import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from nanocode.store import folders

TOTAL_LIMIT = 128 << 20
_KEEP_SECONDS = 30 * 24 * 3600.0


class Images:
    """A store of bytes under their digest. `folder` None keeps them in memory; a folder is made at the first `put`."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.sizes: dict[str, int] = {}
        self._memory: dict[str, bytes] = {}
        if folder is not None:
            with suppress(OSError), os.scandir(folder) as entries:
                self.sizes = {each.name: each.stat().st_size for each in entries if "." not in each.name}

    @property
    def total(self) -> int:
        return sum(self.sizes.values())

    def put(self, data: bytes) -> str:
        """Keep `data`; its digest. Raises OSError when it cannot be written."""
        digest = blake2b(data, digest_size=20).hexdigest()
        if digest not in self.sizes:
            if self.folder is None:
                self._memory[digest] = data
            else:
                self._write(self.folder, digest, data)
            self.sizes[digest] = len(data)
        return digest

    def get(self, digest: str) -> bytes:
        """The bytes of a digest. Raises OSError or KeyError when they are gone."""
        return self._memory[digest] if self.folder is None else (self.folder / digest).read_bytes()

    def keep_only(self, digests: Collection[str]) -> None:
        """Let all others go."""
        for digest in self.sizes.keys() - digests:
            del self.sizes[digest]
            self._memory.pop(digest, None)
            if self.folder is not None:
                (self.folder / digest).unlink(missing_ok=True)

    @staticmethod
    def _write(folder: Path, digest: str, data: bytes) -> None:
        if not folder.exists():
            folders.make(folder)
            _prune(folder.parent)
        temporary = folder / f"{digest}.tmp"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
        os.replace(temporary, folder / digest)


def _prune(parent: Path) -> None:
    """Let the images of sessions go that changed nothing for a month."""
    oldest = time.time() - _KEEP_SECONDS
    with suppress(OSError), os.scandir(parent) as entries:
        for each in entries:
            if each.name.endswith(".undo") and each.stat().st_mtime < oldest:
                shutil.rmtree(each.path, ignore_errors=True)
