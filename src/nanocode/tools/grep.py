"""The grep tool: lines that match a pattern, shaped for a model; knows nothing of how they are found."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from nanocode import hot
from nanocode.errors import ToolError
from nanocode.tool import Context, Result, tool
from nanocode.tools.output import plural
from nanocode.tools.tree import excludes, in_brackets, root, shown

if TYPE_CHECKING:
    from nanocode.hot.search import FileMatches, Search

# With so few matches the lines around them save the model its next call.
_FEW, _AROUND = 3, 2


@tool(reads=True, aliases={"pat": "pattern", "dir": "path", "ignore_case": "ignoreCase", "no_ignore": "noIgnore"})
async def grep(
    call: Context,
    pattern: Annotated[str, "regular expression (Python's, with \\p{…} and [[:alpha:]])"],
    path: Annotated[str | None, "file or folder to search; the working folder by default"] = None,
    glob: Annotated[str | None, "only files that match, such as `*.py` or `src/**/*.{ts,tsx}`; `!` leaves out"] = None,
    ignoreCase: Annotated[bool, "upper and lower case alike"] = False,
    literal: Annotated[bool, "the pattern is plain text"] = False,
    context: Annotated[int | None, "lines to show around each match", {"minimum": 0, "maximum": 50}] = None,
    multiline: Annotated[bool, "a match may span lines"] = False,
    mode: Annotated[Literal["lines", "files", "count"], "what to show of each file"] = "lines",
    hidden: Annotated[bool, "names that start with a dot too"] = False,
    noIgnore: Annotated[bool, "what .gitignore and the like leave out too"] = False,
    limit: Annotated[int, "matches at most (files, in the other modes)", {"minimum": 1}] = 100,
) -> Result:
    """Search files for a regular expression, line by line. Matches come grouped by file as `LINE: text` in path order,
    long lines cut around the match. Ignored, hidden and binary files are left out.
    """
    place, prefix = root(call, path)
    options: dict[str, Any] = {
        "ignore_case": ignoreCase,
        "literal": literal,
        "context": context or 0,
        "multiline": multiline,
        "mode": mode,
        "limit": limit,
        "stop": call.stop,
    }
    tree: dict[str, Any] = {
        "hidden": hidden,
        "no_ignore": noIgnore,
        "excludes": excludes(call.settings),
    }
    try:
        globs = [glob] if glob else []
        found = await asyncio.to_thread(hot.search_tree, str(place), pattern, globs=globs, **options, **tree)
    except ValueError as error:
        # Also as plain text, which any other pattern falls back to.
        raise ToolError(f"this pattern cannot be searched: {error}; search a shorter one") from error
    if context is None and mode == "lines" and 0 < found.matches <= _FEW:
        found = await asyncio.to_thread(_with_context, place, pattern, found, options)
    brackets = ""
    if glob and not found.searched and place.is_dir():
        brackets = await asyncio.to_thread(in_brackets, place, glob, kinds="files", stop=call.stop, **tree)
    return Result("\n".join(_lines(found, mode, limit, prefix if place.is_dir() else "", path or ".")) + brackets)


def _with_context(place: Path, pattern: str, found: "Search", options: dict[str, Any]) -> "Search":
    options = {**options, "context": _AROUND}
    again = []
    for each in found.files:
        inner = hot.search_tree(str(place / each.path.decode("utf-8", "surrogateescape")), pattern, **options).files
        again.append(replace(each, lines=inner[0].lines) if inner else each)
    return replace(found, files=tuple(again))


def _lines(found: "Search", mode: str, limit: int, prefix: str, name: str) -> Iterator[str]:
    if found.literal_fallback:
        yield f"[the pattern does not parse ({found.literal_fallback}); searched as plain text]"
    if not found.files:
        ignored = f", {found.ignored:,} ignored; noIgnore to search them" if found.ignored else ""
        yield f"0 matches ({plural(found.searched, 'file')} searched{ignored})"
    for position, each in enumerate(found.files):
        shown_name = prefix + shown(each.path) if each.path else name
        if mode == "files":
            yield shown_name
        elif mode == "count":
            yield f"{shown_name}: {each.count}"
        else:
            if position:
                yield ""
            yield from _file(shown_name, each)
    if found.limit_reached:
        noun = "matches" if mode == "lines" else "files"
        yield f"[{limit} {noun} limit reached. Use limit={limit * 2} for more, or refine the pattern]"
    for path, why in found.unreadable[:5]:
        yield f"[not searched: {prefix + shown(path) if path else name}: {why}]"
    if len(found.unreadable) > 5:
        yield f"[{plural(len(found.unreadable) - 5, 'more path')} not searched]"
    if found.stopped:
        yield "[interrupted: this is not all]"


def _file(name: str, found: "FileMatches") -> Iterator[str]:
    yield f"{name}: {found.note}" if found.note and not found.lines else name
    last = 0
    for line in found.lines:
        if last and line.number > last + 1:
            yield "--"
        yield f"{line.number}{':' if line.is_match else '-'} {line.text}"
        last = line.number
