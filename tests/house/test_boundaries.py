"""What only one place may do: read the environment, print, catch everything; and how large a file may grow."""

import ast
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import nanocode

ROOT = Path(nanocode.__file__).parent
SOURCES = sorted(path for path in ROOT.rglob("*.py") if "__pycache__" not in path.parts)


def found(match: Callable[[ast.AST], bool], allowed: set[str]) -> list[str]:
    """Where a node matches in a file or folder that is not allowed to."""
    places = []
    for path in SOURCES:
        name = path.relative_to(ROOT).as_posix()
        if name in allowed or name.split("/")[0] + "/" in allowed:
            continue
        places += [f"{name}:{node.lineno}" for node in ast.walk(ast.parse(path.read_text("utf-8"))) if match(node)]  # type: ignore[attr-defined]
    return places


def attribute(*dotted: str) -> Callable[[ast.AST], bool]:
    return lambda node: isinstance(node, ast.Attribute) and ast.unparse(node) in dotted


def test_the_environment_argv_home_and_cwd_are_read_in_one_place() -> None:
    reads = attribute("os.environ", "os.getenv", "sys.argv", "os.getcwd", "Path.cwd", "Path.home", "os.path.expanduser")
    assert not found(reads, {"cli.py", "hot/__init__.py"})


def test_only_front_ends_write_to_the_terminal() -> None:
    streams = attribute("sys.stdout", "sys.stderr", "sys.stdin")

    def prints(node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "input")

    assert not found(lambda node: streams(node) or prints(node), {"cli.py", "ui/"})


def test_everything_is_caught_in_one_place_only() -> None:
    def catches_all(node: ast.AST) -> bool:
        if not isinstance(node, ast.ExceptHandler):
            return False
        return node.type is None or ast.unparse(node.type) == "Exception"

    assert not found(catches_all, {"agent/toolbox.py"})


def test_there_is_no_global_statement() -> None:
    assert not found(lambda node: isinstance(node, ast.Global), set())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_is_at_most_400_lines_and_says_what_it_is(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 400
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "a module begins with one sentence on what it is"


def lengths() -> Iterator[int]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield (node.end_lineno or node.lineno) - node.lineno + 1


def test_functions_are_short() -> None:
    sizes = sorted(lengths())
    assert statistics.median(sizes) <= 10
    assert sizes[int(len(sizes) * 0.95)] <= 40
