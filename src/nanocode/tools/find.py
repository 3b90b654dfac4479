"""The find tool: names below a folder, ignore rules honoured; knows nothing of contents."""

import asyncio
from typing import Annotated, Any

from nanocode import hot
from nanocode.errors import ToolError
from nanocode.tool import Context, Result, tool
from nanocode.tools.tree import asks_for_hidden, excludes, in_brackets, notices, root, shown


@tool(reads=True, aliases={"pat": "pattern", "name": "pattern", "dir": "path"})
async def find(
    context: Context,
    pattern: Annotated[str | None, "glob of a name at any depth, or with `/` of a path; everything by default"] = None,
    path: Annotated[str | None, "folder to look in; the working folder by default"] = None,
    limit: Annotated[int, "entries at most", {"minimum": 1}] = 500,
    hidden: Annotated[bool, "names that start with a dot too"] = False,
    noIgnore: Annotated[bool, "what .gitignore and the like leave out too"] = False,
) -> Result:
    """Find files and folders by name below a folder, in path order; a folder ends in `/`. Ignored ones are left out."""
    return Result(await asyncio.to_thread(_find, context, pattern, path, limit, hidden, noIgnore))


def _find(context: Context, pattern: str | None, path: str | None, limit: int, hidden: bool, no_ignore: bool) -> str:
    folder, prefix = root(context, path)
    if not folder.is_dir():
        raise ToolError(f"`{path}` is not a folder; find looks below folders")
    walked: dict[str, Any] = {
        "hidden": hidden or asks_for_hidden(pattern or ""),
        "no_ignore": no_ignore,
        "excludes": excludes(context.settings),
        "stop": context.stop,
    }
    found = hot.walk_tree(str(folder), globs=[pattern] if pattern else [], limit=limit, **walked)
    lines = [prefix + shown(entry.path, entry.kind) for entry in found.entries]
    if not lines:
        ignored = f" ({found.ignored:,} ignored; noIgnore to see them)" if found.ignored else ""
        brackets = in_brackets(folder, pattern, **walked) if pattern else ""
        lines.append(f"nothing named `{pattern or '*'}` in `{path or '.'}`{ignored}{brackets}")
    if found.truncated:
        lines.append(f"[{limit} entries limit reached. Use limit={limit * 2} for more, or refine the pattern]")
    return "\n".join([*lines, *notices(found, prefix)])
