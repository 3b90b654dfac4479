"""The glob tool: paths by pattern, newest first; knows nothing of contents."""

import asyncio
import os
from typing import Annotated

from nanocode import hot
from nanocode.errors import ToolError
from nanocode.tool import Context, Result, tool
from nanocode.tools.tree import excludes, root, shown

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
    start = os.path.join(path or "", fixed) or None
    folder, prefix = root(context, start)
    if not folder.is_dir():
        raise ToolError(f"`{start}` is not a folder")
    found = hot.walk_tree(
        str(folder),
        globs=[rest],
        hidden=hidden or rest.startswith(".") or "/." in rest,
        no_ignore=no_ignore,
        max_depth=None if "/" in rest or "**" in rest else 1,
        excludes=excludes(context.settings),
        stop=context.stop,
    )
    files = [entry.path for entry in found.entries if entry.kind in ("file", "link")]
    newest = sorted((-_modified(folder, path), path) for path in files)
    if not newest:
        deeper = f"; `**/{rest}` looks at every depth" if "/" not in rest and "**" not in rest else ""
        ignored = f" ({found.ignored:,} ignored; noIgnore to see them)" if found.ignored else ""
        return f"no file matches `{pattern}`{ignored}{deeper}"
    lines = [prefix + shown(name) for _, name in newest[:limit]]
    if len(newest) > limit:
        lines.append(f"[{limit} of {len(newest):,} files shown. Use limit={limit * 2} for more, or refine the pattern]")
    return "\n".join(lines)


def _split(pattern: str) -> tuple[str, str]:
    """The leading folders without wildcards, where the walk can start, and the pattern below them."""
    parts = pattern.split("/")
    count = next((i for i, part in enumerate(parts[:-1]) if _SPECIAL & set(part)), len(parts) - 1)
    fixed = "/".join(parts[:count])
    return ("/" if pattern.startswith("/") and not fixed else fixed), "/".join(parts[count:])


def _modified(folder: os.PathLike[str], path: bytes) -> int:
    try:
        return os.lstat(os.path.join(os.fsencode(folder), path)).st_mtime_ns
    except OSError:
        return 0
