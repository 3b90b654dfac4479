"""The glob tool: paths by pattern, newest first; knows nothing of contents."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from nanocode import hot
from nanocode.errors import ToolError
from nanocode.tool import Context, Result, tool
from nanocode.tools.tree import asks_for_hidden, escaped, excludes, in_brackets, notices, root, shown

if TYPE_CHECKING:
    from nanocode.hot.walk import Walk

_SPECIAL = frozenset("*?[{\\")


@tool(reads=True, aliases={"pat": "pattern", "dir": "path"})
async def glob(
    context: Context,
    pattern: Annotated[str, "such as `src/**/*.py` or `*.{ts,tsx}`; `**` crosses folders"],
    path: Annotated[str | None, "folder that the pattern starts from; the working folder by default"] = None,
    limit: Annotated[int, "files at most", {"minimum": 1}] = 500,
    hidden: Annotated[bool, "names that start with a dot too"] = False,
    noIgnore: Annotated[bool, "what .gitignore and the like leave out too"] = False,
) -> Result:
    """List files whose path matches a glob pattern, newest first. Ignored files are left out."""
    return Result(await asyncio.to_thread(_glob, context, pattern, path, limit, hidden, noIgnore))


def _glob(context: Context, pattern: str, path: str | None, limit: int, hidden: bool, no_ignore: bool) -> str:
    fixed, rest = _split(pattern)
    start = os.path.join(path or "", fixed) if fixed else path
    folder, prefix = root(context, start)
    if not folder.is_dir():
        raise ToolError(f"`{start}` is not a folder")
    walked: dict[str, Any] = {
        "hidden": hidden or asks_for_hidden(rest),
        "no_ignore": no_ignore,
        "kinds": "leaves",
        "max_depth": None if "/" in rest or "**" in rest else 1,
        "excludes": excludes(context.settings),
        "stop": context.stop,
    }
    found = hot.walk_tree(str(folder), globs=[rest], newest=True, limit=limit, **walked)
    lines = [prefix + shown(entry.path) for entry in found.entries]
    if not lines:
        brackets = in_brackets(folder, rest, fixed, **walked)
        lines.append(_nothing(pattern, rest, folder, found) + brackets)
    if found.truncated:
        lines.append(f"[{limit} of {found.total:,} files shown. Use limit={limit * 2} for more, or refine the pattern]")
    return "\n".join([*lines, *notices(found, prefix)])


def _nothing(pattern: str, rest: str, folder: Path, found: "Walk") -> str:
    if not (_SPECIAL - {"["}) & set(rest) and (folder / rest).is_dir():
        return f"`{pattern}` is a folder; `{os.path.join(escaped(pattern), '**')}` lists the files in it"
    deeper = f"; `**/{rest}` looks at every depth" if "/" not in rest and "**" not in rest else ""
    ignored = f" ({found.ignored:,} ignored; noIgnore to see them)" if found.ignored else ""
    return f"no file matches `{pattern}`{ignored}{deeper}"


def _split(pattern: str) -> tuple[str, str]:
    """The leading folders without wildcards, where the walk can start, and the pattern below them."""
    parts = pattern.split("/")
    count = next((i for i, part in enumerate(parts[:-1]) if _SPECIAL & set(part)), len(parts) - 1)
    fixed = "/".join(parts[:count])
    return ("/" if pattern.startswith("/") and not fixed else fixed), "/".join(parts[count:])
