"""Makes nanocode's own folders, closed to all others; knows nothing of what goes into them."""

from pathlib import Path


def make(path: Path) -> None:
    """Make `path` and what is missing above it, all with mode 0700: `mkdir` itself would open the parents to all."""
    if not path.parent.exists():
        make(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
