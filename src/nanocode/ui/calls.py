"""Tool calls on the screen: while they run with the end of their output, then folded; knows no models and no prompt."""

import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nanocode.events import ToolEnded, ToolOutput, ToolStarted
from nanocode.ui.diffs import diff_rows
from nanocode.ui.plain import call_line, result_line
from nanocode.ui.rows import BOLD, CYAN, DIM, RED, Row, clean, cut, wrap

# So much of the output of a running command is seen, and so much of a diff or an error before it folds.
_TAIL_LINES, _DIFF_ROWS, _ERROR_LINES = 5, 40, 6
# The id of a shell line of the user's own, which is run to be read, and how much of it shows.
OWN = "!"
_OWN_LINES = 40
_TAIL_CHARACTERS = 4096
_KEPT = 50
# Their other arguments are what the diff below them shows.
_TOLD_BY_DIFF = ("edit", "write")
_OVERWRITTEN = re.compile(r"^[^\n]*\r(?!\n|\Z)", re.MULTILINE)
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")


@dataclass(slots=True)
class Running:
    """A call that has no result yet."""

    line: str
    since: float = field(default_factory=time.monotonic)
    output: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A call that has ended, for who wants to see it whole."""

    line: str
    text: str
    diff: str


class Calls:
    """The calls of a session; `columns` tells the screen's width now."""

    def __init__(self, columns: Callable[[], int]) -> None:
        self._columns = columns
        self.running: dict[str, Running] = {}
        self.ended: deque[Shown] = deque(maxlen=_KEPT)

    def start(self, event: ToolStarted) -> None:
        args = event.args
        if isinstance(args, Mapping) and event.name in _TOLD_BY_DIFF:
            args = {"path": args.get("path", "")}
        self.running[event.id] = Running(clean(call_line(event.name, args)))

    def output(self, event: ToolOutput) -> None:
        call = self.running.get(event.id)
        if call:
            call.output = (call.output + event.text)[-_TAIL_CHARACTERS:]

    def end(self, event: ToolEnded) -> list[Row]:
        """The rows that stay: the call, and its result folded."""
        call = self.running.pop(event.id, None) or Running(event.name)
        self.ended.append(Shown(call.line, event.result, event.details))
        rows = self._head(call.line)
        if event.id == OWN:
            return rows + _own(event.result, RED if event.is_error else DIM)
        if event.is_error:
            return rows + self._failure(event.result)
        if event.details:
            first = event.result.partition("\n")[0]
            return rows + self._result(clean(first)) + _folded(diff_rows(event.details)[1:])
        return rows + self._result(clean(result_line(event.result)))

    def live(self) -> list[Row]:
        """The running calls as they are now."""
        rows: list[Row] = []
        for call in self.running.values():
            seconds = time.monotonic() - call.since
            took = f" {seconds:.0f} s" if seconds >= 1 else ""
            rows.append([(CYAN, "⏺ "), ("", cut(call.line, self._columns() - 2 - len(took))), (DIM, took)])
            rows += [[(DIM, "⎿ " if not n else "  "), (DIM, line)] for n, line in enumerate(self._tail(call.output))]
        return rows

    def _tail(self, output: str) -> list[str]:
        text = _OVERWRITTEN.sub("", _ANSI.sub("", output)).rstrip("\r\n")
        return [cut(clean(line), self._columns() - 2) for line in text.split("\n")[-_TAIL_LINES:]] if text else []

    def _head(self, line: str) -> list[Row]:
        name, bracket, rest = line.partition("(")
        return wrap([(BOLD, name), ("", bracket + rest)], self._columns(), (CYAN, "⏺ "), "  ")

    def _result(self, line: str) -> list[Row]:
        return wrap([(DIM, line)], self._columns(), (DIM, "⎿ "), "  ")

    def _failure(self, result: str) -> list[Row]:
        lines = result.strip("\n").split("\n")
        kept = lines if len(lines) <= _ERROR_LINES else [lines[0], f"… {len(lines) - _ERROR_LINES + 1} more lines"]
        kept += lines[-_ERROR_LINES + 2 :] if len(lines) > _ERROR_LINES else []
        columns, rows = self._columns(), []
        for number, line in enumerate(kept):
            lead = "  " if number else "⎿ "
            rows += wrap([(RED, clean(line))], columns, (RED, lead), "  ")
        return rows


def _own(result: str, style: str) -> list[Row]:
    lines = result.strip("\n").split("\n")
    folded = len(lines) - _OWN_LINES
    shown = [f"… {folded} lines before (Ctrl-O shows all)", *lines[folded:]] if folded > 0 else lines
    # A table or a path stays in one piece: the terminal itself breaks what is too long.
    return [[("", "  ") if number else (style, "⎿ "), ("", clean(line))] for number, line in enumerate(shown)]


def _folded(rows: list[Row]) -> list[Row]:
    indented: list[Row] = [[("", "  "), *row] for row in rows]
    if len(indented) <= _DIFF_ROWS:
        return indented
    rest = len(indented) - _DIFF_ROWS
    return [*indented[:_DIFF_ROWS], [(DIM, f"  … +{rest} lines (Ctrl-O shows all)")]]


def whole(shown: Shown, columns: int) -> list[Row]:
    """All of a call that has ended."""
    head: Row = [(CYAN, "⏺ "), (BOLD, cut(shown.line, columns - 2))]
    if shown.diff:
        return [head, *diff_rows(shown.diff)]
    return [head, *([("", clean(line))] for line in shown.text.rstrip("\n").split("\n"))]
