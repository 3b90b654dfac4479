"""`/undo`, `/redo` and `/diff` in words; knows nothing of how images are kept."""

from collections.abc import Iterable, Mapping
from difflib import unified_diff
from os.path import relpath
from pathlib import Path

from nanocode.errors import UsageError
from nanocode.messages import USER_DID
from nanocode.store.undo import ABSENT, UNKNOWN, Change, Turn, Undo
from nanocode.ui.desk import Desk

_SHOWN_LIMIT = 1 << 20
_TOLD = 50


async def undo(desk: Desk, argument: str) -> str:
    turn = desk.session.undo.undo()
    rows = _done(desk, [(path, change.after, change.before) for path, change in turn.changes.items()])
    _tell(desk, "took back what you did to these files", rows)
    return "\n".join([f"turn {turn.number} is undone; /redo brings it back", *rows, *_uncovered(turn)])


async def redo(desk: Desk, argument: str) -> str:
    turn = desk.session.undo.redo()
    rows = _done(desk, [(path, change.before, change.after) for path, change in turn.changes.items()])
    _tell(desk, "did again what had been taken back of these files", rows)
    return "\n".join([f"turn {turn.number} is done again", *rows])


def _tell(desk: Desk, what: str, rows: list[str]) -> None:
    """Otherwise the model goes on from files that are no longer so."""
    desk.session.note("\n".join([f"{USER_DID}{what}; read one before you build on it:", *rows[:_TOLD], "]"]))


def _done(desk: Desk, rows: Iterable[tuple[str, object, object]]) -> list[str]:
    verbs = {(True, False): "created", (False, True): "removed"}
    cwd = desk.session.settings.cwd
    return [f"  {verbs.get((a == ABSENT, b == ABSENT), 'restored')} {shown(path, cwd)}" for path, a, b in rows]


def _uncovered(turn: Turn) -> list[str]:
    lines = [f"  not covered, and left as it is: {path}" for path in sorted(turn.lost)]
    ran = ", ".join(f"{name} ({count}x)" for name, count in turn.others.items())
    return lines + ([f"  not covered: what these did to files in that turn: {ran}"] if ran else [])


async def diff(desk: Desk, argument: str) -> str:
    kept = desk.session.undo
    changes = _net(kept.done) if argument == "all" else _turn(kept, argument).changes
    text = "".join(_file(kept, path, change, desk.session.settings.cwd) for path, change in changes.items())
    if not text:
        return "no difference is left"
    desk.show(text.rstrip("\n"), "diff")
    return "" if argument == "all" else "\n".join(_uncovered(_turn(kept, argument)))


def _turn(kept: Undo, argument: str) -> Turn:
    if not kept.done:
        raise UsageError("write and edit have changed nothing in this session", "git shows what other tools did")
    if not argument:
        return kept.done[-1]
    numbers = {str(turn.number): turn for turn in kept.done}
    if argument not in numbers:
        raise UsageError(f"turn `{argument}` changed nothing", f"these did: {', '.join(numbers)}; or `/diff all`")
    return numbers[argument]


def _net(turns: Iterable[Turn]) -> Mapping[str, Change]:
    """The changes of several turns as one."""
    net: dict[str, Change] = {}
    for turn in turns:
        for path, change in turn.changes.items():
            net[path] = Change(net[path].before if path in net else change.before, change.after)
    return net


def _file(kept: Undo, path: str, change: Change, cwd: Path) -> str:
    name = shown(path, cwd)
    if UNKNOWN in change:
        return f"--- {name}\n+++ {name}\n@@ not finished when nanocode ended @@\n"
    try:
        before, after = kept.content(change.before), kept.content(change.after)
    except (OSError, KeyError):
        return f"--- {name}\n+++ {name}\n@@ its contents are no longer kept @@\n"
    if b"\0" in before + after or len(before + after) > _SHOWN_LIMIT:
        return f"--- {name}\n+++ {name}\n@@ {len(before)} bytes became {len(after)} @@\n"
    names = ("/dev/null" if change.before == ABSENT else name, "/dev/null" if change.after == ABSENT else name)
    lines = list(unified_diff(_lines(before), _lines(after), *names))
    if change.before.mode != change.after.mode and ABSENT not in change:
        lines = [f"mode {change.before.mode:o} -> {change.after.mode:o} of {name}\n", *lines]
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").splitlines(keepends=True)


def shown(path: str, cwd: Path) -> str:
    """A path as a person says it: relative inside the working folder."""
    return relpath(path, cwd) if Path(path).is_relative_to(cwd) else path
