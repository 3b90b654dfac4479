"""Gives a file new content at once or not at all; knows nothing of edits or models."""

import errno
import os
import stat
from contextlib import suppress
from io import FileIO
from pathlib import Path


def replace(path: Path, data: bytes) -> None:
    """Write `data` to `path` by a temporary file beside it and a rename: readers see the old or the new content.

    Symlinks are followed; mode and, where that is allowed, owner are kept. Where the folder allows no new file or
    the file is a mount point, an existing file is written in place. Raises OSError, and then the old content is
    still there.
    """
    real = Path(os.path.realpath(path))
    facts = _facts(real)
    # Not made from the file's name, which may already be as long as a name can be.
    temporary = real.with_name(f".nanocode-{os.urandom(6).hex()}.tmp")
    try:
        _write(temporary, data, facts)
        os.replace(temporary, real)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if facts is None or error.errno not in (errno.EACCES, errno.EPERM, errno.EBUSY, errno.EROFS):
            raise
        _write_in_place(real, data)


def _facts(path: Path) -> os.stat_result | None:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return facts


def _write(path: Path, data: bytes, like: os.stat_result | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with open(descriptor, "wb") as file:
        if like is not None:
            if hasattr(os, "chown"):
                # Only root may give a file away, in a user namespace only to the ids that it has; anyone else becomes
                # the owner of what he writes.
                with suppress(OSError):
                    os.chown(path, like.st_uid, like.st_gid)
            os.chmod(path, stat.S_IMODE(like.st_mode))
        file.write(data)


def _write_in_place(path: Path, data: bytes) -> None:
    with open(path, "r+b", buffering=0) as file:
        before = file.read()
        try:
            _overwrite(file, data)
        except OSError:
            _overwrite(file, before)
            raise


def _overwrite(file: FileIO, data: bytes) -> None:
    file.seek(0)
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]
    file.truncate()
