"""Inventories: kept on disk, found by words, named for a model."""

import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocode.mcp import inventory
from nanocode.mcp.config import Server
from nanocode.mcp.inventory import Entry, Inventory, line, names, ranked

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"path": {}, "depth": {}}, "required": ["path"]}


def entry(name: str, description: str = "", title: str = "") -> Entry:
    return Entry(name, title, description, SCHEMA, reads=False)


TOOLS = [
    ("files", entry("read_file", "Read a text file")),
    ("files", entry("list_directory", "List what is in a folder")),
    ("git", entry("git_log", "Show commits")),
    ("web", entry("fetch", "Read a page of the web", "Read a URL")),
]


def found(query: str) -> list[str]:
    return [each.name for _, each in ranked(query, TOOLS)]


def test_words_find_tools_by_name_first() -> None:
    assert found("read") == ["read_file", "fetch"]
    assert found("read web") == ["fetch", "read_file"]
    assert found("GIT commits")[0] == "git_log"
    assert found("files") == ["read_file", "list_directory"]
    assert found("nothing-like-it") == []
    assert len(found("")) == len(TOOLS)


def test_a_line_says_where_what_and_which_arguments() -> None:
    assert line("files", entry("read", "Read it.\nAnd more.")) == "files/read(path, depth?): Read it."
    assert line("files", entry("read", "", "A title")) == "files/read(path, depth?): A title"
    assert line("files", entry("read")) == "files/read(path, depth?)"


def test_names_are_what_a_model_may_call() -> None:
    pairs = [("my server", "do.it"), ("a", "b_c"), ("a", "b c"), ("s" * 40, "t" * 40)]
    given_names = names(pairs)
    assert given_names["my server", "do.it"] == "mcp__my_server__do_it"
    assert given_names["a", "b_c"] != given_names["a", "b c"], "two that would be one get a hash"
    assert len(given_names["s" * 40, "t" * 40]) == 64


@given(st.lists(st.tuples(st.text(max_size=50), st.text(max_size=50)), unique=True, max_size=8))
def test_names_are_distinct_short_and_plain(pairs: list[tuple[str, str]]) -> None:
    given_names = names(pairs)
    assert len(set(given_names.values())) == len(pairs)
    for name in given_names.values():
        assert len(name) <= 64 and all(each.isascii() and (each.isalnum() or each in "_-") for each in name)


def test_an_inventory_is_kept_for_its_configuration(tmp_path: Path) -> None:
    server = Server("a", "stdio", command="x", env={"K": "secret-value"})
    path = inventory.place(tmp_path / "cache", server)
    assert inventory.load(path) is None
    kept = Inventory((entry("one", "grüße"),), modern=True)
    inventory.save(path, kept)
    assert inventory.load(path) == kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and b"secret-value" not in path.read_bytes()
    assert inventory.place(tmp_path / "cache", Server("a", "stdio", command="y")) != path


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"format": 0}', b'{"format": 1, "tools": [{}], "modern": 0}'])
def test_a_broken_inventory_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert inventory.load(tmp_path / "a.json") is None
