"""The README's tables are the code's, its figures those of the newest records.

`python tests/house/test_readme.py` writes them into it, and draws the picture of the records.
"""

import datetime
import importlib.util
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nanocode.settings import BATCH_FLAGS, FLAGS, VARIABLES, Flag
from nanocode.tools import ALL
from nanocode.ui.commands import COMMANDS, FAMILIES
from nanocode.ui.keys import LEGEND

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


def legend() -> Iterator[str]:
    return (f"| {key} | {meaning} |" for key, meaning in LEGEND)


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


def terminals() -> Iterator[str]:
    for run in plot.newest("terminal")["figures"]["stream"]:
        share = f"{run['percent']:.1f}" if run["percent"] < 10 else f"{run['percent']:.0f}"
        after = " after its last delta" if run["program"] == "nanocode" else ""
        yield f"| {SCREENS[run['program']]} | {share} % | {run['late_seconds']:.1f} s{after} |"


def installs() -> Iterator[str]:
    record = plot.newest("sizes")
    for each in record["figures"]:
        cells = [f"{each['wheel']:.1f} MB" if each["wheel"] else "", f"{each['installed']:.0f} MB"]
        cells += [str(each["packages"]), f"{each['ratio']:.2g}"]
        name = each["contender"] + ("" if each["wheel"] else f" {record['versions'][each['contender']]}")
        yield f"| {name} | {' | '.join(cells)} |"


def made_on(record: dict[str, Any]) -> str:
    machine, date = record["machine"], datetime.date.fromisoformat(record["date"])
    python = machine["python"].removeprefix("CPython ").rpartition(".")[0]
    return f"{machine['cpu']}, {machine['cores']} cores, Python {python}, {date.day} {date:%B %Y}"


def other_agents() -> str:
    record = plot.newest("agent")
    named = [f"{name} {record['versions'][name]}" for name in ("codex", "pi", "opencode") if name in record["versions"]]
    return (
        f"What an agent adds to the model's own time, {made_on(record)}: {', '.join(named)} as "
        "npm installs them, each a process against the same model server on loopback, and the least that an agent in "
        "Python can be, a bare asyncio script. Medians of interleaved rounds, after a first run that does not count "
        "(`python benchmarks/bench_agent.py --peers node_modules`); codex has no tool that writes a file:"
    )


def long_sessions() -> str:
    figures = plot.newest("agent")["figures"]
    short, long = ({case["contender"]: case for case in figures if case["case"] == f"{n} tool turns"} for n in (2, 500))
    ours, bare = long["nanocode"], long["bare asyncio client"]
    return (
        f"In 500 turns with bash nanocode comes to {ours['peak_megabytes']:.0f} MB, in 2 to "
        f"{short['nanocode']['peak_megabytes']:.0f}, and a next request takes {ours['gap_milliseconds']:.1f} ms "
        f"(the bare client: {bare['peak_megabytes']:.0f} MB, {bare['gap_milliseconds']:.1f} ms)."
    )


def environments() -> str:
    return (
        "What it takes to have it: a whole environment as pip or npm installs it, without Python or node, and "
        f"`--version` in interleaved rounds, {made_on(plot.newest('sizes'))} (`python benchmarks/bench_sizes.py "
        "--peers node_modules --pip gptme aider-chat`):"
    )


def screens() -> str:
    record = plot.newest("terminal")
    return (
        "The terminal under an answer of 2,000 deltas a second, beside the same session shown by the two Python "
        f"libraries for it, {made_on(record)} "
        "(`python benchmarks/bench_terminal.py --deltas 12000`):"
    )


def keys() -> str:
    figures = plot.newest("terminal")["figures"]
    echo, [ours, *_], start = figures["echo_ms"], figures["stream"], figures["start"]
    return (
        f"A key typed meanwhile shows after {echo['median']} ms (95 % within {echo['p95']} ms). The first quarter of "
        f"the answer costs {ours['first']} % of a core and the last {ours['last']} %. An idle prompt costs "
        f"{figures['idle_percent']} %, and is there in {start['ratio']} times what importing prompt_toolkit and httpx "
        "takes."
    )


SCREENS = {
    "nanocode": "nanocode",
    "no screen": "the same without a screen",
    "rich Live(Markdown)": "rich, `Live(Markdown)`",
    "textual Markdown": "textual, `Markdown` with an input",
}
# Paragraphs with figures of records, by their first words.
PARAGRAPHS = {
    "What an agent adds": other_agents,
    "In 500 turns": long_sessions,
    "What it takes to have it": environments,
    "The terminal under": screens,
    "A key typed meanwhile": keys,
}
AGENT_CASES = ("one-shot", "50 tool turns", "20000 deltas", "30 kB argument")
TABLES = {
    "| search | times faster than ripgrep | our CPU / theirs |": searches,
    "| list of files | times faster than ripgrep | than fd | our CPU / ripgrep's |": listings,
    "| | one answer | memory | bash, then the next request | 20,000 deltas | 30 kB argument |": agents,
    "| | share of a core | whole answer shown |": terminals,
    "| | wheel | installed | packages | start, in times of ours |": installs,
    "| flag | meaning |": flags,
    "| flag of batch | meaning |": partial(flags, BATCH_FLAGS),
    "| variable | setting | default | meaning |": variables,
    "| tool | what it does |": tools,
    "| command | meaning |": commands,
    "| key or line | does |": legend,
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


def wrapped(text: str) -> list[str]:
    """Lines of the house's width, none of which ends within code."""
    whole = re.sub(r"`[^`]*`", lambda found: found[0].replace(" ", "\u00a0"), text)
    return [line.replace("\u00a0", " ") for line in textwrap.wrap(whole, 120, break_on_hyphens=False)]


def paragraph(lines: list[str], start: str) -> tuple[int, int]:
    [first] = [number for number, line in enumerate(lines) if line.startswith(start)]
    return first, lines.index("", first)


@pytest.mark.parametrize("head", TABLES)
def test_the_table_is_the_codes(head: str) -> None:
    lines = README.read_text("utf-8").splitlines()
    start, end = span(lines, head)
    assert lines[start:end] == list(TABLES[head]()), "run `python tests/house/test_readme.py`"


@pytest.mark.parametrize("start", PARAGRAPHS)
def test_the_figures_in_words_are_of_the_newest_records(start: str) -> None:
    lines = README.read_text("utf-8").splitlines()
    first, end = paragraph(lines, start)
    assert lines[first:end] == wrapped(PARAGRAPHS[start]()), "run `python tests/house/test_readme.py`"


def test_the_first_screen_says_what_the_records_do() -> None:
    screen = " ".join(README.read_text("utf-8").partition("## Two commands")[0].split())
    for name, seconds, memory, *_ in (row.strip("| ").split(" | ") for row in agents()):
        assert name == "bare asyncio client" or f"{seconds} and {memory}" in screen
    literal = next(row for row in searches() if row.startswith("| literal |"))
    phrase = next(row for row in searches() if row.startswith("| first 100 of a phrase |"))
    assert f"{literal.split(' | ')[1]} times faster than by ripgrep" in screen
    assert f"slower, {phrase.split(' | ')[1]} times" in screen


def test_the_picture_is_of_the_newest_records() -> None:
    assert plot.PICTURE.read_text("utf-8") == plot.drawn(), "run `python tests/house/test_readme.py`"


def rewrite() -> None:
    plot.main()
    lines = README.read_text("utf-8").splitlines()
    for head, rows in TABLES.items():
        start, end = span(lines, head)
        lines[start:end] = rows()
    for words, made in PARAGRAPHS.items():
        start, end = paragraph(lines, words)
        lines[start:end] = wrapped(made())
    README.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(rewrite())
