"""What was typed in earlier sessions, in a private file; knows nothing of prompts."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prompt_toolkit.history import FileHistory

_LIMIT = 1 << 20


class Past(FileHistory):
    """`path` is made with mode 0600 and halved when it is over 1 MB; where it cannot be written, nothing is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__(str(path))

    def load_history_strings(self) -> Iterable[str]:
        try:
            return list(super().load_history_strings())
        except OSError:
            return []

    def store_string(self, string: str) -> None:
        with suppress(OSError):
            self._prepare()
            # A lone surrogate, such as of a pasted file name, is no UTF-8.
            super().store_string(string.encode("utf-8", "replace").decode())

    def _prepare(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
        if self._path.stat().st_size > _LIMIT:
            data = self._path.read_bytes()
            half = data.find(b"\n#", len(data) // 2)
            self._path.write_bytes(data[half:])
