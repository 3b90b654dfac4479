"""The ls tool: one folder's entries, folders first; knows nothing of ignore rules."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from nanocode.errors import ToolError
from nanocode.folder import is_folder
from nanocode.tool import Context, Result, tool
from nanocode.tools.output import plural
from nanocode.tools.tree import root, shown


@tool(reads=True, aliases={"dir": "path", "directory": "path"})
async def ls(
    context: Context,
    path: Annotated[str | None, "folder to list; the working folder by default"] = None,
    limit: Annotated[int, "entries at most", {"minimum": 1}] = 500,
) -> Result:
    """List a folder, dotfiles too: folders first, each with a `/` at its end."""
    return Result(await asyncio.to_thread(_ls, context, path, limit))


def _ls(context: Context, name: str | None, limit: int) -> str:
    folder, _ = root(context, name)
    if not folder.is_dir():
        raise ToolError(f"`{name}` is not a folder; read shows a file")
    found = sorted((not is_folder(entry), entry.name) for entry in _entries(folder, context.stop))
    lines = [shown(entry, "file" if is_file else "dir") for is_file, entry in found[:limit]]
    if len(found) > limit:
        lines.append(f"[{limit} of {plural(len(found), 'entry', 'entries')} shown. Use limit={len(found)} for all.]")
    return "\n".join(lines) or "[the folder is empty]"


def _entries(folder: Path, stop: bytearray) -> Iterator["os.DirEntry[bytes]"]:
    with os.scandir(os.fsencode(folder)) as entries:
        for entry in entries:
            if stop[0]:
                raise ToolError("interrupted")
            yield entry
