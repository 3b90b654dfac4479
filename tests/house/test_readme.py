"""The README's tables are the code's tables; `python tests/house/test_readme.py` writes them into it."""

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from nanocode.settings import BATCH_FLAGS, FLAGS, VARIABLES, Flag
from nanocode.tools import ALL
from nanocode.ui.commands import COMMANDS, FAMILIES

README = Path(__file__).parents[2] / "README.md"


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


TABLES = {
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


def rewrite() -> None:
    lines = README.read_text("utf-8").splitlines()
    for head, rows in TABLES.items():
        start, end = span(lines, head)
        lines[start:end] = rows()
    README.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(rewrite())
