"""Where a front end's bytes go: a stream that may break off; knows nothing of events."""

import re
from collections.abc import Callable
from typing import TextIO

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Output:
    """A text stream to a person or a program. Once its reader is gone, `broken` is called and nothing more is written.
    So it is when it takes no more, such as on a full disk; `failure` then says why.

    On a terminal, control characters of foreign text are left out, so that a file cannot repaint the screen.
    """

    def __init__(self, stream: TextIO, *, color: bool = False, broken: Callable[[], None] = lambda: None) -> None:
        self.color = color
        self.is_broken = False
        self.failure: OSError | None = None
        self._stream = stream
        self._terminal = stream.isatty()
        self.broken = broken

    def write(self, text: str) -> None:
        """Write and flush; `text` is foreign."""
        self._put(_CONTROLS.sub("", text) if self._terminal else text)

    def dim(self, text: str) -> None:
        """Write foreign text in grey where there is colour."""
        text = _CONTROLS.sub("", text) if self._terminal else text
        self._put(f"\x1b[2m{text}\x1b[0m" if self.color else text)

    def red(self, text: str) -> None:
        text = _CONTROLS.sub("", text) if self._terminal else text
        self._put(f"\x1b[31m{text}\x1b[0m" if self.color else text)

    def lines(self, data: bytes) -> None:
        """Write bytes as they are."""
        self._guarded(lambda: self._stream.buffer.write(data))

    def _put(self, text: str) -> None:
        self._guarded(lambda: self._stream.write(text))

    def _guarded(self, write: Callable[[], object]) -> None:
        if self.is_broken:
            return
        try:
            write()
            self._stream.flush()
        except (BrokenPipeError, ValueError):
            self.is_broken = True
            self.broken()
        except OSError as error:
            self.failure, self.is_broken = error, True
            self.broken()
