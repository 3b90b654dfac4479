"""The read tool: a window of a file with line numbers, in memory that does not grow with the file."""

import asyncio
import shlex
import stat
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Annotated, BinaryIO

from nanocode.context import pictures
from nanocode.errors import PictureError, ToolError
from nanocode.folder import names
from nanocode.tool import Context, Result, tool
from nanocode.tools.output import BYTES, LINES, head, size

_PIECE = 1 << 16
_DECODED_LIMIT = 64 << 20


@tool(
    reads=True,
    aliases={"file_path": "path", "filePath": "path", "file": "path"},
    guidance="Read-only calls that do not depend on each other go into one message: they run side by side.",
)
async def read(
    context: Context,
    path: Annotated[str, "file to read, relative to the working folder or absolute"],
    offset: Annotated[int | None, "first line to show, 1-indexed", {"minimum": 1}] = None,
    limit: Annotated[int | None, "how many lines to show at most", {"minimum": 1}] = None,
) -> Result:
    """Read a file. Lines come numbered as `   1| text`; the number and bar are not part of the file. At most 2000
    lines or 50KB come at once; a notice tells the offset to go on from. Images are shown when the model can see them.
    """
    return await asyncio.to_thread(_read, context, context.path(path), path, offset or 1, limit)


def _read(context: Context, path: Path, name: str, first: int, limit: int | None) -> Result:
    kind = path.stat().st_mode
    if stat.S_ISDIR(kind):
        return Result(_folder(path, name))
    if not stat.S_ISREG(kind):
        raise ToolError(f"`{name}` is not a regular file: it is a pipe, socket or device, and is not read")
    with open(path, "rb") as file:
        start = file.read(8192)
        context.stamps.note(path)
        if mime := pictures.mime(start):
            return _shown_image(context, path, name, mime)
        if start.startswith((b"\xff\xfe", b"\xfe\xff")):
            return Result(_utf16(path, name, first, limit))
        if b"\0" in start:
            return Result(f"[`{name}` is a binary file of {size(path.stat().st_size)}; its bytes are not shown]")
        file.seek(len(BOM_UTF8) if start.startswith(BOM_UTF8) else 0)
        return Result(_window(Lines(file, context.stop), name, first, limit))


def _folder(path: Path, name: str) -> str:
    return "\n".join([f"[`{name}` is a folder; ls and find show more of it]", *names(path)[:500]])


def _shown_image(context: Context, path: Path, name: str, mime: str) -> Result:
    about = f"`{name}`: {mime}, {size(path.stat().st_size)}"
    if not context.takes_images:
        return Result(f"[{about}; this model does not take images]")
    try:
        image, note = pictures.load(path)
    except PictureError as error:
        return Result(f"[{about}; not shown: {error}]")
    return Result(f"[{about}{note and f', {note}'}]", (image,))


class Lines:
    """The lines of a binary file, without their ends (LF, CRLF, CR); a line keeps about 50KB of itself at most.

    `invalid` tells whether a line given out was not UTF-8.
    """

    def __init__(self, file: BinaryIO, stop: bytearray) -> None:
        self.invalid = False
        self._file, self._stop = file, stop
        self._ready: list[bytes] = []
        self._held = b""
        self._next = 0

    def __iter__(self) -> Iterator[str]:
        while self._fill():
            while self._next < len(self._ready):
                line = self._ready[self._next]
                self._next += 1
                yield self._text(line)

    def skip(self, count: int) -> int:
        """Pass over up to `count` lines; how many there were."""
        passed = 0
        while passed < count and self._fill():
            step = min(count - passed, len(self._ready) - self._next)
            self._next += step
            passed += step
        return passed

    def _fill(self) -> bool:
        while self._next >= len(self._ready):
            piece = self._piece()
            if not piece:
                self._ready, self._next = ([self._held] if self._held else []), 0
                self._held = b""
                return bool(self._ready)
            lines = (self._held + piece).splitlines(keepends=True)
            # The last may go on in the next piece, and a CR may be half of a CRLF.
            self._held = b"" if lines[-1].endswith(b"\n") else lines.pop()
            if len(self._held) > 2 * BYTES:
                self._held = self._held[: BYTES + 1] + self._held[-1:]
            self._ready, self._next = lines, 0
        return True

    def _piece(self) -> bytes:
        if self._stop[0]:
            raise ToolError("interrupted")
        return self._file.read(_PIECE)

    def _text(self, line: bytes) -> str:
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        try:
            return line.decode()
        except UnicodeDecodeError:
            # A line that long is not shown, and may have been cut within a character.
            self.invalid |= len(line) <= BYTES
            return line.decode("utf-8", "replace")


def _window(lines: Lines, name: str, first: int, limit: int | None) -> str:
    passed = lines.skip(first - 1)
    wanted = min(limit or LINES, LINES)
    shown = head(_taken(lines, wanted), max_lines=wanted)
    if not shown.lines and not shown.by:
        if passed == 0 and first == 1:
            return f"[`{name}` is empty]"
        raise ToolError(f"offset {first} is past the end: `{name}` has {passed} lines")
    last = passed + len(shown.lines)
    numbered = [f"{number:4d}| {text}" for number, text in enumerate(shown.lines, first)]
    if not shown.lines:
        skip = f"sed -n '{first}p' {shlex.quote(name)} | head -c {BYTES}"
        numbered = [f"[Line {first} is longer than {size(BYTES)}. Use bash to see its start: {skip}]"]
        last += 1
    total = last + lines.skip(sys.maxsize) + (shown.by == "bytes" and bool(shown.lines))
    if total > last:
        numbered.append(f"[Showing lines {first}-{last} of {total}. Use offset={last + 1} to continue.]")
    if lines.invalid:
        numbered.append("[Not UTF-8: other bytes are shown as �; edit keeps them as they are.]")
    return "\n".join(numbered).replace("\x00", "�")


def _taken(lines: Lines, count: int) -> Iterator[str]:
    for _, line in zip(range(count), lines, strict=False):
        yield line


def _utf16(path: Path, name: str, first: int, limit: int | None) -> str:
    if path.stat().st_size > _DECODED_LIMIT:
        raise ToolError(f"`{name}` is UTF-16 and larger than {size(_DECODED_LIMIT)}; convert it with iconv first")
    text = path.read_bytes().decode("utf-16", "replace").encode("utf-8", "replace")
    return _window(Lines(BytesIO(text), bytearray(1)), name, first, limit) + "\n[Shown from UTF-16.]"
