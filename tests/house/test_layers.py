"""Imports point down: every room imports only from lower floors, and lazily only for a reason given here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import nanocode

ROOT = Path(nanocode.__file__).parent

FLOORS = [
    {"errors", "jsontext", "nearest", "frozen", "atomic", "private", "orphans", "folder"},
    {"hot", "_ext", "http"},
    {"messages", "settings"},
    {"events"},
    {"tool"},
    {"provider", "context", "store", "guard", "jobs", "mcp"},
    {"agent", "tools", "servers"},
    {"session"},
    {"ui"},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# Where an import may stand inside a function, and why.
LAZY = {
    "__main__": "Ctrl-C may come while the program is loading",
    "agent/vocabulary": "`tiktoken` costs a second, and only OpenAI's models are counted by it",
    "cli": "start-up: `--help` and `--version` need neither asyncio nor httpx",
    "hot/splices": "start-up: `difflib` serves diffs of replaced runs only",
    "nearest": "start-up: `difflib` serves errors only",
    "jobs/cluster": "`distributed` is an extra, and only a batch on a cluster needs it",
    "session": "start-up: the demo model is loaded by those who ask for it",
    "context/frontmatter": "start-up: `yaml` serves those who keep skills or prompts",
    "context/pictures": "Pillow is an extra, and only large images need it",
    "hot/backtrack": "`regex` costs 20 ms, and only a search needs it",
    "servers": "who configured no MCP server loads nothing of it",
    "mcp/link": "the SDK takes half a second, and only a server that is used needs it",
    "mcp/config": "`json5` serves files with comments only",
    "tools/page": "a tenth of a second, for those who fetch a page",
    "tools/websearch": "a tenth of a second, for those who search",
}


def sources() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if "__pycache__" not in path.parts)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").as_posix()


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Each import statement with the dotted name it brings in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"relative import in line {node.lineno}"
            module = node.module or ""
            yield from ((node, f"{module}.{alias.name}" if module == "nanocode" else module) for alias in node.names)


def test_every_room_has_a_floor() -> None:
    rooms = {name_of(path).split("/")[0] for path in sources()} - {"__init__"}
    assert rooms <= set(FLOOR), f"give these rooms a floor: {sorted(rooms - set(FLOOR))}"


def test_imports_point_down() -> None:
    wrong = []
    for path in sources():
        room = name_of(path).split("/")[0]
        if room == "__init__":
            continue
        for node, module in imports(ast.parse(path.read_text("utf-8"))):
            parts = module.split(".")
            if parts[0] != "nanocode" or len(parts) < 2 or parts[1] in (room, "__version__"):
                continue
            if FLOOR[parts[1]] >= FLOOR[room]:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: `{room}` must not import `{parts[1]}`")
    assert not wrong, "\n".join(wrong)


def test_the_package_itself_imports_nothing() -> None:
    assert not list(imports(ast.parse((ROOT / "__init__.py").read_text("utf-8"))))


def test_imports_inside_functions_have_a_reason() -> None:
    wrong = []
    for path in sources():
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and name_of(path) not in LAZY:
                wrong += [f"{path.relative_to(ROOT)}:{node.lineno}: {module}" for node, module in imports(function)]
    assert not wrong, "\n".join(wrong)


def test_no_reason_outlives_its_import() -> None:
    lazy = set()
    for path in sources():
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and any(imports(function)):
                lazy.add(name_of(path))
    assert set(LAZY) <= lazy
