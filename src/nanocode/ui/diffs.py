"""A unified diff as coloured rows with line numbers; knows nothing of who changed what."""

import re
from collections.abc import Iterator

from nanocode.ui.rows import CYAN, DIM, GREEN, RED, Row, clean

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@(.*)")


def diff_rows(diff: str) -> list[Row]:
    """A row for each line: its number in the new file (in the old one where it is gone), its sign, its text."""
    lines = diff.split("\n")
    last = max(
        (int(number) for line in lines if (hunk := _HUNK.match(line)) for number in hunk.groups()[:2]), default=0
    )
    return list(_rows(lines, len(str(last + len(lines)))))


def _rows(lines: list[str], wide: int) -> Iterator[Row]:
    old = new = 0
    for line in lines:
        sign, text = line[:1], clean(line[1:])
        if hunk := _HUNK.match(line):
            if old or new:
                yield [(DIM, f"{'⋮':>{wide}}")]
            old, new = int(hunk[1]), int(hunk[2])
        elif not old and not new:
            if line.startswith("+++ "):
                yield [(CYAN, clean(line[4:]).removeprefix("b/"))]
        elif sign == "-":
            yield [(DIM, f"{old:>{wide}} "), (RED, f"- {text}")]
            old += 1
        elif sign == "+":
            yield [(DIM, f"{new:>{wide}} "), (GREEN, f"+ {text}")]
            new += 1
        elif sign == " ":
            yield [(DIM, f"{new:>{wide}} "), ("", f"  {text}")]
            old, new = old + 1, new + 1
        elif line:
            yield [(DIM, clean(line))]
