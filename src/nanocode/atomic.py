"""Gives a file new content at once or not at all; knows nothing of edits or models."""

import errno
import os
import stat
from pathlib import Path


def replace(path: Path, data: bytes) -> None:
    """Write `data` to `path` by a temporary file beside it and a rename: readers see the old or the new content.

    Symlinks are followed and the mode is kept. Where the folder allows no new file or the file is a mount point,
    an existing file is written in place. Raises OSError, and then the old content is still there.
    """
    real = Path(os.path.realpath(path))
    mode = _mode(real)
    temporary = real.with_name(f".{real.name[:200]}.{os.urandom(4).hex()}.tmp")
    try:
        _write(temporary, data, mode)
        os.replace(temporary, real)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if mode is None or error.errno not in (errno.EACCES, errno.EPERM, errno.EBUSY, errno.EROFS):
            raise
        with open(real, "r+b") as file:
            file.write(data)
            file.truncate()


def _mode(path: Path) -> int | None:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return stat.S_IMODE(facts.st_mode)


def _write(path: Path, data: bytes, mode: int | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with open(descriptor, "wb") as file:
        if mode is not None:
            os.chmod(path, mode)
        file.write(data)
