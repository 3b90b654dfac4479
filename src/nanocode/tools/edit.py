"""The edit tool: exact replacements in one file, all or none; knows nothing of how places are found."""

import asyncio
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from nanocode import atomic, hot
from nanocode.errors import EditError, ToolError
from nanocode.jsontext import loads, mend
from nanocode.tool import Context, Result, tool
from nanocode.tools.output import head, plural

if TYPE_CHECKING:
    from nanocode.hot.splices import Splice

_SPELLINGS = {
    "old": "oldText",
    "old_text": "oldText",
    "old_string": "oldText",
    "oldString": "oldText",
    "new": "newText",
    "new_text": "newText",
    "new_string": "newText",
    "newString": "newText",
}


class Edit(TypedDict):
    """One replacement."""

    oldText: Annotated[str, "text as it is in the file now; it must occur exactly once"]
    newText: Annotated[str, "text to put in its place"]


def _one_shape(arguments: dict[str, Any]) -> dict[str, Any]:
    """A single edit given beside `path`, `edits` as JSON text, and older names become the declared shape."""
    named = {_SPELLINGS.get(name, name): value for name, value in arguments.items()}
    edits = named.get("edits")
    if isinstance(edits, str):
        try:
            edits = loads(edits)
        except ValueError:
            return named
    if edits is None and "oldText" in named:
        edits = {name: named.pop(name) for name in ("oldText", "newText") if name in named}
    if isinstance(edits, dict):
        edits = [edits]
    if isinstance(edits, list):
        named["edits"] = [
            {_SPELLINGS.get(name, name): value for name, value in each.items()} if isinstance(each, dict) else each
            for each in edits
        ]
    return named


@tool(
    aliases={"file_path": "path", "filePath": "path", "file": "path"},
    prepare=_one_shape,
    guidance="edit needs `oldText` exactly as in the file, without the line numbers that read shows; make it unique.",
)
async def edit(
    context: Context,
    path: Annotated[str, "file to edit, relative to the working folder or absolute"],
    edits: Annotated[list[Edit], "replacements; all are matched against the file as it is now"],
) -> Result:
    """Replace exact pieces of one file, all or none. Each `oldText` must be unique and must not overlap another.
    Give several changes to a file in one call. The answer is the diff that was written.
    """
    return await asyncio.to_thread(_edit, context, path, edits)


def _edit(context: Context, name: str, edits: list[Edit]) -> Result:
    if not edits:
        raise ToolError("`edits` is empty; give at least one replacement")
    path = context.path(name)
    before = _checked(context, path, name)
    data = path.read_bytes()
    try:
        splices = hot.plan_edits(data, [(mend(each["oldText"]), mend(each["newText"])) for each in edits])
    except EditError as error:
        raise ToolError(f"`{name}` is unchanged: {error}") from None
    if _facts(path.stat()) != before:
        raise ToolError(f"`{name}` was changed by someone else just now; nothing was written, read it again")
    with context.changing(path):
        atomic.replace(path, hot.apply_edits(data, splices))
    context.stamps.note(path)
    diff = _shown(hot.diff_edits(data, splices, name))
    loose = sorted({splice.level for splice in splices} - {"exact"})
    how = f"; matched ignoring {' and '.join(loose)}" if loose else ""
    note = "" if _fits(data, splices) else "\n[The file is not UTF-8, and the new text was written as UTF-8.]"
    return Result(f"edited `{name}` ({plural(len(splices), 'replacement')}{how})\n{diff}{note}", details=diff)


def _shown(diff: str) -> str:
    lines = diff.split("\n")
    cut = head(lines)
    left_out = len(lines) - len(cut.lines)
    return "\n".join([*cut.lines, f"[{plural(left_out, 'line')} of the diff left out]"] if left_out else cut.lines)


def _fits(data: bytes, splices: "Sequence[Splice]") -> bool:
    """Whether new text of more than ASCII is in the file's own encoding, as far as that shows."""
    if all(splice.new.isascii() for splice in splices):
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _checked(context: Context, path: Path, name: str) -> tuple[int, int, int]:
    try:
        facts = path.stat()
    except FileNotFoundError:
        raise ToolError(f"`{name}` does not exist; use write to create it") from None
    if not stat.S_ISREG(facts.st_mode):
        raise ToolError(f"`{name}` is not a regular file")
    if context.stamps.changed(path):
        raise ToolError(f"`{name}` changed on disk since it was last read or written here; read it again first")
    return _facts(facts)


def _facts(facts: os.stat_result) -> tuple[int, int, int]:
    return facts.st_ino, facts.st_size, facts.st_mtime_ns
