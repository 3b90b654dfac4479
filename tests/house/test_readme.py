"""The README's tables are the code's, its figures of search and walk those of the newest records.

`python tests/house/test_readme.py` writes them into it, and draws the picture of the records.
"""

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nanocode.settings import BATCH_FLAGS, FLAGS, VARIABLES, Flag
from nanocode.tools import ALL
from nanocode.ui.commands import COMMANDS, FAMILIES

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
_spec = importlib.util.spec_from_file_location("plot", ROOT / "benchmarks" / "plot.py")
assert _spec and _spec.loader
plot = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(plot)


def flags(table: Sequence[Flag] = FLAGS) -> Iterator[str]:
    for flag in table:
        names = ", ".join(f"`{name}`" for name in flag.names)
        metavar = f" {flag.metavar}".replace("|", "\\|") if flag.metavar else ""
        yield f"| {names}{metavar} | {flag.meaning} |"


def variables() -> Iterator[str]:
    for row in VARIABLES:
        default = {True: "1", False: "0"}.get(row.default) if isinstance(row.default, bool) else row.default
        setting = f"`{row.field}`" if row.field and row.field != "directory" else ""
        yield f"| `{row.name}` | {setting} | {f'`{default}`' if default != '' else ''} | {row.meaning} |"


def tools() -> Iterator[str]:
    for tool in ALL:
        arguments = ", ".join(
            f"{name}{'' if name in tool.parameters['required'] else '?'}" for name in tool.parameters["properties"]
        )
        yield f"| `{tool.name}` ({arguments}) | {tool.description.replace(chr(10), ' ')} |"


def commands() -> Iterator[str]:
    for command in (*COMMANDS, *FAMILIES):
        names = ", ".join(f"`{name}`" for name in command.names)
        yield f"| {names} {command.argument} | {command.meaning} |".replace("  |", " |")


def times(figure: dict[str, Any]) -> str:
    ratio = figure["ratio"]
    return f"{'> ' if figure['cut'] else ''}{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"


def processors(figure: dict[str, Any]) -> str:
    return "" if figure["cut"] else f"{figure['cpu']:.2f}"


def searches() -> Iterator[str]:
    for case, (first, *_) in plot.cases(plot.newest("search")).items():
        yield f"| {case} | {times(first)} | {processors(first)} |"


def listings() -> Iterator[str]:
    for case, (first, *others) in plot.cases(plot.newest("walk")).items():
        fd = next((times(figure) for figure in others if figure["contender"].startswith("fd")), "")
        yield f"| {case.replace('*', chr(92) + '*')} | {times(first)} | {fd} | {processors(first)} |"


def agents() -> Iterator[str]:
    figures = plot.newest("agent")["figures"]
    at = {(each["case"], each["contender"]): each for each in figures}
    for name in dict.fromkeys(each["contender"] for each in figures if each["case"] == "one-shot"):
        shot, turns, deltas, argument = (at.get((case, name)) for case in AGENT_CASES)
        assert shot and turns
        cells = [f"{shot['seconds']:.2f} s", f"{shot['peak_megabytes']:.0f} MB", f"{turns['gap_milliseconds']:.1f} ms"]
        cells += [f"{each['seconds']:.2f} s" if each else "" for each in (deltas, argument)]
        yield f"| {name} | {' | '.join(cells)} |"


AGENT_CASES = ("one-shot", "50 tool turns", "20000 deltas", "30 kB argument")
TABLES = {
    "| search | times faster than ripgrep | our CPU / theirs |": searches,
    "| list of files | times faster than ripgrep | than fd | our CPU / ripgrep's |": listings,
    "| | one answer | memory | bash, then the next request | 20,000 deltas | 30 kB argument |": agents,
    "| flag | meaning |": flags,
    "| flag of batch | meaning |": partial(flags, BATCH_FLAGS),
    "| variable | setting | default | meaning |": variables,
    "| tool | what it does |": tools,
    "| command | meaning |": commands,
}
# Rows that are no table of the code: libraries read these variables themselves.
FOREIGN = ("| `HTTP_PROXY`", "| `SSL_CERT_FILE`")


def span(lines: list[str], head: str) -> tuple[int, int]:
    """First and last line number of a table's own rows."""
    start = lines.index(head) + 2
    end = start
    while end < len(lines) and lines[end].strip() and not lines[end].startswith(FOREIGN):
        end += 1
    return start, end


@pytest.mark.parametrize("head", TABLES)
def test_the_table_is_the_codes(head: str) -> None:
    lines = README.read_text("utf-8").splitlines()
    start, end = span(lines, head)
    assert lines[start:end] == list(TABLES[head]()), "run `python tests/house/test_readme.py`"


def test_the_picture_is_of_the_newest_records() -> None:
    assert plot.PICTURE.read_text("utf-8") == plot.drawn(), "run `python tests/house/test_readme.py`"


def rewrite() -> None:
    plot.main()
    lines = README.read_text("utf-8").splitlines()
    for head, rows in TABLES.items():
        start, end = span(lines, head)
        lines[start:end] = rows()
    README.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(rewrite())
