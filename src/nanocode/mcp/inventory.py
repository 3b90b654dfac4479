"""The tools of MCP servers as values: kept on disk, found by words, named for a model; knows nothing of connections."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from nanocode import private
from nanocode.jsontext import dumps, loads
from nanocode.mcp.config import Server

_FORMAT = 1
# OpenAI's limit for the name of a function, which other servers took over.
_NAME_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One tool. `reads` is the server's word that it changes nothing."""

    name: str
    title: str
    description: str
    schema: Mapping[str, Any]
    reads: bool


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a server said it has; `modern` when it spoke the protocol of 2026."""

    tools: tuple[Entry, ...]
    modern: bool = False


def place(folder: Path, server: Server) -> Path:
    """Where a server's inventory is kept: another configuration is another server."""
    return folder / f"{sha256(dumps(asdict(server))).hexdigest()[:32]}.json"


def load(path: Path) -> Inventory | None:
    """The kept inventory, None where there is none that can be read."""
    try:
        data = loads(path.read_bytes())
        if data["format"] != _FORMAT:
            return None
        return Inventory(tuple(Entry(**each) for each in data["tools"]), bool(data["modern"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save(path: Path, inventory: Inventory) -> None:
    """Keep an inventory. Raises OSError."""
    private.write(path, dumps({"format": _FORMAT, **asdict(inventory)}) + b"\n")


def ranked(query: str, tools: Iterable[tuple[str, Entry]]) -> list[tuple[str, Entry]]:
    """The (server, tool) pairs in which a word of `query` occurs, the best first; all of them for no words."""
    words = re.findall(r"\w+", query.lower())
    if not words:
        return list(tools)
    scored = [(_score(words, server, each), server, each) for server, each in tools]
    return [(server, each) for score, server, each in sorted(scored, key=lambda it: -it[0]) if score > 0]


def _score(words: Sequence[str], server: str, tool: Entry) -> int:
    name, about = f"{tool.name} {tool.title}".lower(), tool.description.lower()
    found = 0
    for word in words:
        places = 6 * _has(name, word) + 2 * _has(server.lower(), word) + _has(about, word)
        # A tool that fits every word comes before one that fits a single word everywhere.
        found += 20 + places if places else 0
    return found


def _has(text: str, word: str) -> bool:
    # Anywhere in a word, but `it` is not in `commit`.
    return word in text if len(word) > 2 else word in re.findall(r"[^\W_]+", text)


def line(server: str, tool: Entry) -> str:
    """One line on a tool: where it is, what it takes, what it is for."""
    required = tool.schema.get("required") or ()
    properties = tool.schema.get("properties") or {}
    arguments = ", ".join(f"{name}{'' if name in required else '?'}" for name in properties)
    about = (tool.description or tool.title).strip().split("\n")[0]
    return f"{server}/{tool.name}({arguments}): {about[:200]}".rstrip(": ")


def names(pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """A name for the model for each (server, tool): `mcp__server__tool`, with a hash where two would be one."""
    plain = {pair: re.sub(r"[^A-Za-z0-9_-]", "_", f"mcp__{pair[0]}__{pair[1]}") for pair in pairs}
    taken = list(plain.values())
    return {
        pair: name if len(name) <= _NAME_CHARACTERS and taken.count(name) == 1 else _hashed(name, pair)
        for pair, name in plain.items()
    }


def _hashed(name: str, pair: tuple[str, str]) -> str:
    suffix = "_" + sha256("\0".join(pair).encode("utf-8", "replace")).hexdigest()[:8]
    return name[: _NAME_CHARACTERS - len(suffix)] + suffix
