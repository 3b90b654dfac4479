"""The write tool: a whole file at once; knows nothing of what was in it before."""

import asyncio
from typing import Annotated

from nanocode import atomic
from nanocode.errors import ToolError
from nanocode.jsontext import mend
from nanocode.tool import Context, Result, tool
from nanocode.tools.output import plural, size


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
    existed = path.exists()
    data = mend(content).encode()
    with context.changing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.replace(path, data)
    context.stamps.note(path)
    lines = len(data.splitlines())
    verb = "overwrote" if existed else "wrote new file"
    return Result(f"{verb} `{name}` ({plural(lines, 'line')}, {size(len(data))})")
