"""Opens the MCP servers that a session's files name, those that are trusted; knows nothing of the agent."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nanocode.guard.trust import Trust
from nanocode.settings import Settings

if TYPE_CHECKING:
    from nanocode.mcp.host import Host
    from nanocode.mcp.link import Ask


def opened(
    settings: Settings,
    trust: Trust,
    warn: Callable[[str], None],
    changed: Callable[[], None] = lambda: None,
    ask: "Ask | None" = None,
) -> "Host | None":
    """The host of all configured servers, not started; None where no file names any. `warn` hears what is left out."""
    files = [path for path in settings.mcp_files if path.is_file()]
    if not files:
        return None
    # Who has no such file does without all of this.
    from nanocode.mcp import config
    from nanocode.mcp.host import Host

    def allowed(path: Path, content: bytes) -> bool:
        if path.parent == settings.directory or trust.allows(path, content):
            return True
        warn(f"`{path}` is not trusted, so its MCP servers do not start: {config.outline(content)}")
        warn("`/trust` shows and accepts it; `--trust` accepts it for one run")
        return False

    found = config.load(files, settings.environ, settings.cwd, allowed)
    for warning in found.warnings:
        warn(warning)
    return Host(found, settings, changed, ask) if found.servers or found.disabled else None
