"""A unified diff as coloured rows with line numbers; knows nothing of who changed what."""

import re
from collections.abc import Iterator

from nanocode.ui.rows import CYAN, DIM, GREEN, RED, Row, clean

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


def diff_rows(diff: str) -> list[Row]:
    """A row for each line: its number in the new file (in the old one where it is gone), its sign, its text."""
    lines = diff.split("\n")
    hunks = [hunk for line in lines if (hunk := _HUNK.match(line))]
    last = max((int(number) for hunk in hunks for number in hunk.group(1, 3)), default=0)
    return list(_rows(lines, len(str(last + len(lines)))))


def _rows(lines: list[str], wide: int) -> Iterator[Row]:
    old = new = old_left = new_left = 0
    before = ""
    for line in lines:
        sign, text = line[:1], clean(line[1:])
        if hunk := _HUNK.match(line):
            if old or new:
                yield [(DIM, f"{'⋮':>{wide}}")]
            old, old_left, new, new_left = (int(number or 1) for number in hunk.groups())
        elif old_left <= 0 and new_left <= 0:
            # Only the counts tell the next file's `---` from a line that is gone.
            if line.startswith("--- "):
                before = line[4:]
            elif line.startswith("+++ "):
                yield [(CYAN, clean(before if line[4:] == "/dev/null" else line[4:]).removeprefix("b/"))]
                old = new = 0
            elif line:
                yield [(DIM, clean(line))]
        elif sign == "-":
            yield [(DIM, f"{old:>{wide}} "), (RED, f"- {text}")]
            old, old_left = old + 1, old_left - 1
        elif sign == "+":
            yield [(DIM, f"{new:>{wide}} "), (GREEN, f"+ {text}")]
            new, new_left = new + 1, new_left - 1
        elif sign == " ":
            yield [(DIM, f"{new:>{wide}} "), ("", f"  {text}")]
            old, old_left, new, new_left = old + 1, old_left - 1, new + 1, new_left - 1
        elif line:
            yield [(DIM, clean(line))]
