"""The write tool: a whole file at once; knows nothing of what was in it before."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from nanocode import atomic, hot
from nanocode.errors import ToolError
from nanocode.hot.splices import Splice
from nanocode.jsontext import mend
from nanocode.tool import Context, Result, tool
from nanocode.tools.output import plural, size

_SHOWN_BYTES = 256 << 10


@tool(aliases={"file_path": "path", "filePath": "path", "file": "path", "text": "content"})
async def write(
    context: Context,
    path: Annotated[str, "file to write, relative to the working folder or absolute"],
    content: Annotated[str, "the whole new content"],
) -> Result:
    """Create or overwrite a file, with its parent folders. To change a part of a file, use edit."""
    return await asyncio.to_thread(_write, context, path, content)


def _write(context: Context, name: str, content: str) -> Result:
    path = context.path(name)
    if path.is_dir() or name.endswith("/"):
        raise ToolError(f"`{name}` is a folder; name a file in it")
    before = _before(path)
    data = mend(content).encode()
    with context.changing(path):
        _make_folder(path.parent, name)
        atomic.replace(path, data)
    context.stamps.note(path)
    lines = len(data.splitlines())
    verb = "wrote new file" if before is None else "overwrote"
    words = f"{verb} `{name}` ({plural(lines, 'line')}, {size(len(data))})"
    return Result(words, details=_diff(before or b"", data, name))


def _make_folder(folder: Path, name: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
        raise ToolError(f"`{name}` cannot be made: `{file}` is no folder") from None


def _before(path: Path) -> bytes | None:
    """The start of what was there, None when nothing was."""
    if not path.is_file():
        return b"" if path.exists() else None
    with suppress(OSError), open(path, "rb") as file:
        return file.read(_SHOWN_BYTES + 1)
    return b""


def _diff(before: bytes, after: bytes, name: str) -> str:
    """The change as a display shows it; "" for binary and for large files."""
    if max(len(before), len(after)) > _SHOWN_BYTES or b"\0" in before + after:
        return ""
    return hot.diff_edits(before, [Splice(0, len(before), after, "exact")], name)
