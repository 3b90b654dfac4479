"""A markdown table drawn with rules, as wide as the screen allows; knows nothing of the lines around it."""

import re
from collections.abc import Sequence

from nanocode.ui.inline import inline
from nanocode.ui.rows import BOLD, DIM, Row, width, wrap

_RULE = re.compile(r"\s*:?-+:?\s*")
_CELLS = re.compile(r"(?<!\\)\|")
_NARROWEST = 4


def is_rule(line: str) -> bool:
    """Whether this is the line between a table's head and its body."""
    return "-" in line and all(_RULE.fullmatch(cell) for cell in _split(line))


def table(lines: Sequence[str], columns: int) -> list[Row]:
    """The rows of a table, `lines` being its head, rule and body; cells wrap when it would be too wide."""
    sides = [_side(cell) for cell in _split(lines[1])]
    cells = [[inline(cell.strip().replace("\\|", "|")) for cell in _split(line)] for line in (lines[0], *lines[2:])]
    count = max(len(sides), *map(len, cells))
    sides += ["<"] * (count - len(sides))
    for line in cells:
        line += [[("", "")]] * (count - len(line))
    room = columns - 3 * (count - 1)
    widths = _widths([[_wide(cell) for cell in line] for line in cells], room)
    if sum(widths) > room:
        return _records(cells, columns)
    head = _line([[(BOLD, text) for _, text in cell] for cell in cells[0]], widths, sides)
    rule: Row = [(DIM, "─┼─".join("─" * each for each in widths))]
    return [*head, rule, *(row for line in cells[1:] for row in _line(line, widths, sides))]


def _split(line: str) -> list[str]:
    return _CELLS.split(line.strip().removeprefix("|").removesuffix("|"))


def _side(cell: str) -> str:
    cell = cell.strip()
    return "^" if cell[:1] == cell[-1:] == ":" else ">" if cell.endswith(":") else "<"


def _wide(cell: Row) -> int:
    return sum(width(text) for _, text in cell)


def _widths(cells: Sequence[Sequence[int]], room: int) -> list[int]:
    """What each column needs, the widest made narrower until all fit."""
    widths = [max(1, *column) for column in zip(*cells, strict=True)]
    while sum(widths) > room and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _line(cells: Sequence[Row], widths: Sequence[int], sides: Sequence[str]) -> list[Row]:
    wrapped = [wrap(cell, columns) for cell, columns in zip(cells, widths, strict=True)]
    rows: list[Row] = []
    for number in range(max(map(len, wrapped))):
        row: Row = []
        for cell, columns, side in zip(wrapped, widths, sides, strict=True):
            row += [(DIM, " │ ")] if row else []
            row += _padded(cell[number] if number < len(cell) else [], columns, side)
        rows.append(row)
    return rows


def _padded(cell: Row, columns: int, side: str) -> Row:
    free = max(columns - _wide(cell), 0)
    left = {"<": 0, ">": free, "^": free // 2}[side]
    return [("", " " * left), *cell, ("", " " * (free - left))]


def _records(cells: Sequence[Sequence[Row]], columns: int) -> list[Row]:
    """Each line of the body as `head: cell` lines, where the screen is too narrow for columns."""
    rows: list[Row] = []
    for line in cells[1:]:
        for head, cell in zip(cells[0], line, strict=True):
            name: Row = [(BOLD, text) for _, text in head]
            rows += wrap([*name, ("", ": "), *cell], columns, rest="  ")
        rows.append([(DIM, "─" * min(columns, 12))])
    return rows[:-1]
