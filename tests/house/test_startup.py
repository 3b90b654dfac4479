"""What start-up loads: a library that a command does not need is not imported for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nanocode.mcp.config import Server
from nanocode.mcp.inventory import Inventory, place, save

HEAVY = {"click", "prompt_toolkit", "mcp", "pygments", "tiktoken", "yaml", "pydantic", "rich", "regex"}


def modules(tmp_path: Path, *arguments: str) -> set[str]:
    """The modules that a run of nanocode has loaded at its end."""
    code = (
        "import sys\nfrom nanocode.cli import main\ncode = main(sys.argv[1:])\n"
        "print('LOADED', code, *sorted(sys.modules))"
    )
    environ = {**os.environ, "HOME": str(tmp_path), "NANOCODE_DIR": str(tmp_path / "nano")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=environ,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    code, *loaded = done.stdout.split("LOADED ", 1)[1].split()
    assert code == "0"
    return set(loaded)


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_version_and_help_load_neither_asyncio_nor_httpx(tmp_path: Path, flag: str) -> None:
    assert not modules(tmp_path, flag) & (HEAVY | {"asyncio", "httpx", "ssl"})


def test_a_printed_run_loads_no_library_of_other_front_ends(tmp_path: Path) -> None:
    loaded = modules(tmp_path, "--demo", "--print", "what files are here?")
    assert not loaded & HEAVY
    assert {"asyncio", "httpx"} <= loaded
    # What httpx's own transport needs: a direct connection does without.
    assert not loaded & {"httpcore", "h11", "anyio"}


@pytest.mark.parametrize("content", [None, "", "{}\n", '{"mcpServers": {}}', '{\n  "servers": {}\n}\n'])
def test_without_a_configured_server_nothing_of_mcp_is_loaded(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "nano").mkdir()
        (tmp_path / "nano" / "mcp.json").write_text(content)
    loaded = modules(tmp_path, "--demo", "--print", "what files are here?")
    assert not [name for name in loaded if name.startswith(("nanocode.mcp", "mcp", "httpx2"))]


def test_a_server_whose_tools_are_known_costs_no_library(tmp_path: Path) -> None:
    (tmp_path / "nano").mkdir()
    (tmp_path / "nano" / "mcp.json").write_text('{"mcpServers": {"a": {"command": "x", "selectedTools": "*"}}}')
    server = Server("a", "stdio", command="x", selected=("*",), shown="x")
    save(place(tmp_path / "nano" / "cache" / "mcp", server), Inventory(()))
    loaded = modules(tmp_path, "--demo", "--print", "what files are here?")
    assert "nanocode.mcp.host" in loaded and not loaded & HEAVY
