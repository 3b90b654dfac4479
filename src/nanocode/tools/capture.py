"""Keeps the output of a command: the end in memory, the whole in a file once it is long; knows no processes."""

import os
import re
import stat
import tempfile
import time
from contextlib import suppress
from typing import BinaryIO

from nanocode.tools.output import BYTES, LINES, tail

_KEEP = 4 * BYTES
_PREFIX, _SUFFIX = "nanocode-", ".log"
# A session that goes on after a week can run the command again.
_KEPT_SECONDS = 7 * 24 * 3600
# CSI and OSC sequences, then the two-character escapes (ECMA-48).
_ANSI = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
# Tried at the start of lines alone: anywhere, a long line without a CR would take quadratic time.
_OVERWRITTEN = re.compile(rb"^[^\n]*\r(?=[^\n])", re.MULTILINE)


class Capture:
    """Feed it bytes as they come; `text` is what the model sees. Memory stays at a few hundred KB."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[bytes] = []
        self._held = 0
        self._newlines = 0
        self._file: BinaryIO | None = None
        self._path = ""
        self._failure = ""

    def feed(self, data: bytes) -> None:
        self.size += len(data)
        self._newlines += data.count(b"\n")
        if self.size > BYTES or self._newlines > LINES:
            self._spill(data)
        self._parts.append(data)
        self._held += len(data)
        if self._held > 2 * _KEEP:
            kept = b"".join(self._parts)[-_KEEP:]
            self._parts, self._held = [kept], len(kept)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def text(self) -> str:
        """The end of the output, without colours, progress bars at their last state, and a notice of what is cut."""
        lines = clean(b"".join(self._parts)).decode("utf-8", "replace").split("\n")
        if lines[-1] == "":
            lines.pop()
        if self._held < self.size and len(lines) > 1:
            lines = lines[1:]  # The first of the kept bytes is the end of some line.
        cut = tail(lines)
        text = "\n".join(cut.lines)
        if not cut.by and self._held == self.size:
            return text
        total = self._newlines + (not self._parts[-1].endswith(b"\n"))
        where = f"Full output: {self._path}" if self._path else f"The full output could not be kept: {self._failure}"
        return f"{text}\n[Showing lines {total - len(cut.lines) + 1}-{total} of {total}. {where}]"

    def _spill(self, data: bytes) -> None:
        if self._failure:
            return
        try:
            if self._file is None:
                descriptor, self._path = tempfile.mkstemp(_SUFFIX, _PREFIX)
                _sweep(os.path.dirname(self._path))
                self._file = os.fdopen(descriptor, "wb")
                self._file.write(b"".join(self._parts))
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            # A full disk must not fail the command: its output goes on, the file is given up.
            self._failure = error.strerror or str(error)
            self._path = ""


def _sweep(folder: str) -> None:
    """Remove what earlier calls of this user have left here, once it is old."""
    before = time.time() - _KEPT_SECONDS
    # Another process may sweep as well; what is left over is for the next call.
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX):
                facts = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid() and facts.st_mtime < before:
                    os.unlink(entry.path)


def clean(data: bytes) -> bytes:
    """Terminal output as lines of text: no escape sequences, and of each line what a terminal would show last."""
    if b"\x1b" in data:
        data = _ANSI.sub(b"", data)
    if b"\r" in data:
        data = _OVERWRITTEN.sub(b"", data.replace(b"\r\n", b"\n")).replace(b"\r", b"")
    return data.replace(b"\0", b"")
