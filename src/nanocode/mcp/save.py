"""Adds a server to a configuration file, or takes one out; knows nothing of what the file means beyond that."""

import json
from pathlib import Path
from typing import Any

from nanocode import private
from nanocode.errors import UsageError
from nanocode.mcp.config import Invalid, parse


def add(path: Path, name: str, entry: dict[str, Any]) -> None:
    """Write the entry, over one of the same name. Raises UsageError where that would lose what is in the file."""
    data = _read(path)
    shape = "servers" if "servers" in data and "mcpServers" not in data else "mcpServers"
    data.setdefault(shape, {})[name] = entry
    _write(path, data)


def remove(path: Path, name: str) -> bool:
    """Take the entry out; whether there was one."""
    data = _read(path)
    found = False
    for shape in ("servers", "mcpServers"):
        found = data.get(shape, {}).pop(name, None) is not None or found
    if found:
        _write(path, data)
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        data = parse(content)
    except Invalid as error:
        raise UsageError(f"`{path}` cannot be read: {error}", "mend it in an editor") from None
    try:
        if content.strip():
            json.loads(content)
    except ValueError:
        raise UsageError(f"`{path}` has comments, which writing would lose", "change it in an editor") from None
    if not all(isinstance(data.get(shape, {}), dict) for shape in ("servers", "mcpServers")):
        raise UsageError(f"`{path}` cannot be changed: its servers are no object", "mend it in an editor")
    return data


def _write(path: Path, data: dict[str, Any]) -> None:
    private.write(path.resolve(), json.dumps(data, indent=2, ensure_ascii=False).encode() + b"\n")
