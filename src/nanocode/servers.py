"""Opens the MCP servers that a session's files name, those that are trusted; knows nothing of the agent."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nanocode.guard.trust import Trust
from nanocode.jsontext import loads
from nanocode.settings import Settings

if TYPE_CHECKING:
    from nanocode.mcp.host import Host
    from nanocode.mcp.link import Ask


def opened(
    settings: Settings,
    trust: Trust,
    warn: Callable[[str, str], None],
    changed: Callable[[], None] = lambda: None,
    ask: "Ask | None" = None,
) -> "Host | None":
    """The host of all configured servers, not started; None where no file names any.

    `warn` hears what is left out, and the way out.
    """
    files = [path for path in settings.mcp_files if os.path.isfile(path) and not _is_empty(path)]
    if not files:
        return None
    # Who has no server does without all of this.
    from nanocode.mcp import config

    def allowed(path: Path, content: bytes) -> bool:
        if path.parent == settings.directory or trust.allows(path, content):
            return True
        words = f"`{path}` is not trusted, so its MCP servers do not start: {config.outline(content)}"
        warn(words, "`/trust` shows and accepts it; `--trust` accepts it for one run")
        return False

    found = config.load(files, settings.environ, settings.cwd, allowed)
    for warning in found.warnings:
        warn(warning, "correct it in `mcp.json`, then `/mcp reload`")
    if not found.servers and not found.disabled:
        return None
    from nanocode.mcp.host import Host

    return Host(found, settings, changed, ask)


def _is_empty(path: Path) -> bool:
    """Whether the file surely names no server, such as one whose last server was removed."""
    with suppress(OSError, ValueError):
        content = path.read_bytes().strip()
        return not content or loads(content) in ({}, {"mcpServers": {}}, {"servers": {}})
    return False
