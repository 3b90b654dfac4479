"""What stands in a folder; knows nothing of ignore rules or of who asks."""

import os
from pathlib import Path


def names(folder: Path) -> list[str]:
    """The entries in order as words for a model, each on one line, folders with a `/`. Raises OSError."""
    with os.scandir(os.fsencode(folder)) as entries:
        return sorted(shown(each.name) + ("/" if is_folder(each) else "") for each in entries)


def is_folder(entry: "os.DirEntry[bytes]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads in a circle, or behind a folder that is not ours, is no reason to show nothing.
        return False


def shown(path: bytes) -> str:
    """What is not UTF-8 replaced, line ends escaped."""
    return path.decode("utf-8", "replace").replace("\n", "\\n").replace("\r", "\\r")
