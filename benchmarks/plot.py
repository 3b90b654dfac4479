"""Draws the newest records of search and walk as one picture for the README; knows nothing of how they were measured.

Run `python tests/house/test_readme.py` after a `--record`: it draws this and writes the README's tables. Each row is a
case, each mark a contender: how many times the time of nanocode it took, on a logarithmic axis. An arrow is a contender
that was ended before it was done.
"""

import json
from collections.abc import Iterator
from html import escape
from math import log10
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PICTURE = HERE / "plots" / "search.svg"
KINDS = ("search", "walk")
TITLES = {"search": "search", "walk": "list of files"}
OURS = "nanocode"
# The first colour of a kind is ripgrep's; its ratios stand beside the marks.
COLORS = {
    "ripgrep": "#f4005f",
    "ripgrep --sort path": "#fd971f",
    "python-ripgrep": "#b78ae0",
    "ugrep": "#98e024",
    "grep": "#58d1eb",
    "git grep": "#e6db74",
    "Python's re, line by line": "#8c8c8c",
    "nanocode, Python twin": "#ffffff",
    "rg --files": "#f4005f",
    "rg --files -g": "#f4005f",
    "rg --sortr modified": "#f4005f",
    "fd": "#58d1eb",
    "fd -e c": "#58d1eb",
    "git ls-files": "#e6db74",
    "os.walk and pathspec": "#8c8c8c",
}
WIDTH, LEFT, RIGHT, ROW, TOP, PAD = 860, 210, 30, 19, 54, 16
LOW, HIGH = 0.5, 500.0
TICKS = (1, 2, 5, 10, 20, 50, 100, 200)
INK, GREY, PANEL = "#d9d9d9", "#8c8c8c", "#191919"


def newest(kind: str) -> dict[str, Any]:
    """The last record of a kind."""
    path = max((HERE / "runs").glob(f"*-{kind}.json"))
    return json.loads(path.read_text("utf-8"))  # type: ignore[no-any-return]


def cases(record: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The figures of each case, without ours."""
    found: dict[str, list[dict[str, Any]]] = {}
    for figure in record["figures"]:
        if figure["contender"] != OURS:
            found.setdefault(figure["case"], []).append(figure)
    return found


def across(ratio: float) -> float:
    share = (log10(min(max(ratio, LOW), HIGH)) - log10(LOW)) / (log10(HIGH) - log10(LOW))
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def words(x: float, y: float, text: str, color: str = INK, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x}" y="{y}" fill="{color}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'


def mark(x: float, y: float, color: str, cut: bool = False) -> str:
    if cut:
        return f'<path d="M{x - 4} {y - 4} L{x + 5} {y} L{x - 4} {y + 4} Z" fill="none" stroke="{color}"/>'
    return f'<circle cx="{x}" cy="{y}" r="4" fill="{color}"/>'


def legend(record: dict[str, Any], x: float, y: float) -> Iterator[str]:
    names: dict[str, str] = {}
    for figures in cases(record).values():
        for figure in figures:
            names.setdefault(COLORS[figure["contender"]], figure["contender"])
    for color, name in names.items():
        yield mark(x, y - 4, color)
        yield words(x + 8, y, name, GREY, size=11)
        x += 22 + 6 * len(name)


def panel(kind: str, y: float) -> tuple[list[str], float]:
    """One record, and where it ends."""
    record = newest(kind)
    rows = cases(record)
    bottom = y + TOP + ROW * len(rows)
    parts = [words(PAD, y + 18, TITLES[kind], size=14), *legend(record, PAD + 9.0 * len(TITLES[kind]) + 16, y + 18)]
    for tick in TICKS:
        x, color = across(tick), INK if tick == 1 else "#3a3a3a"
        parts.append(f'<line x1="{x}" y1="{y + TOP - 10}" x2="{x}" y2="{bottom - 6}" stroke="{color}"/>')
        parts.append(words(x, y + TOP - 14, f"{tick}x", GREY, "middle", 11))
    for number, (case, figures) in enumerate(rows.items()):
        middle = y + TOP + ROW * number + 4
        parts.append(words(LEFT - 12, middle + 4, case, anchor="end"))
        for figure in reversed(figures):
            parts.append(mark(across(figure["ratio"]), middle, COLORS[figure["contender"]], figure["cut"]))
    return parts, bottom


def made_on(record: dict[str, Any]) -> str:
    machine = record["machine"]
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['python']}"
    return f"Tree of {record['files']:,} files, ripgrep {record['versions']['ripgrep']}, {where}, {record['date']}"


def drawn() -> str:
    parts, y = [], 8.0
    for kind in KINDS:
        each, y = panel(kind, y)
        parts += each
        y += 8
    record = newest("search")
    parts.append(
        words(PAD, y + 14, "Time of each / time of nanocode within one round. " + made_on(record), GREY, size=11)
    )
    height = round(y + 30)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">'
    back = f'<rect width="{WIDTH}" height="{height}" rx="8" fill="{PANEL}"/>'
    return "\n".join([head, back, *parts, "</svg>"]) + "\n"


def main() -> None:
    PICTURE.write_text(drawn(), encoding="utf-8")
    print(PICTURE)


if __name__ == "__main__":
    main()
