"""Finds the API key and says where it came from; knows nothing of requests, and never writes a file."""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from nanocode.errors import UsageError
from nanocode.frozen import frozen
from nanocode.jsontext import loads
from nanocode.provider.catalog import host, is_opencode
from nanocode.settings import Settings

_VARIABLES = ("OPENCODE_API_KEY", "OPENCODE_GO_API_KEY", "OPENAI_API_KEY")


@frozen
class Key:
    """A key and the name of its source; the value never shows in a repr."""

    value: str = field(repr=False)
    source: str


class NoKey(UsageError):
    """There is no key for the endpoint."""


def find(settings: Settings) -> Key:
    """The key for the session's endpoint: the variables in order, then OpenCode's auth file for OpenCode itself.

    Raises UsageError with both ways out when there is none.
    """
    for name in _VARIABLES:
        if value := settings.environ.get(name, "").strip():
            return Key(value, f"`{name}`")
    if is_opencode(settings.endpoint) and (key := _from_opencode(settings)):
        return key
    name = "OPENCODE_API_KEY" if is_opencode(settings.endpoint) else "OPENAI_API_KEY"
    free = "" if is_opencode(settings.endpoint) else " (any word, if the server asks for none)"
    raise NoKey(
        f"no API key for `{settings.endpoint}`", f"set {name}{free}, or try `nanocode --demo`, which needs none"
    )


def astray(settings: Settings, key: Key) -> str:
    """That a key named for OpenAI goes to OpenCode though nobody has said so, and both ways out; else ""."""
    named = settings.environ.get("OPENAI_BASE_URL") or settings.environ.get("OPENAI_API_URL")
    if named or key.source != f"`{_VARIABLES[-1]}`" or not is_opencode(settings.endpoint):
        return ""
    where = host(settings.endpoint)
    return f"the key of {key.source} goes to {where}: set OPENAI_BASE_URL, or OPENCODE_API_KEY if it is of OpenCode"


def _from_opencode(settings: Settings) -> Key | None:
    text, source = _auth_text(settings.environ, settings.home)
    try:
        entries = loads(text)
    except ValueError:
        return None
    if not isinstance(entries, dict):
        return None
    # OpenCode writes some provider names with a trailing slash.
    named = {str(name).rstrip("/"): entry for name, entry in entries.items()}
    for name in ("opencode-go", "opencode"):
        entry = named.get(name)
        if (
            isinstance(entry, dict)
            and entry.get("type") == "api"
            and isinstance(entry.get("key"), str)
            and entry["key"]
        ):
            return Key(entry["key"].strip(), f"{source} ({name})")
    return None


def _auth_text(environ: Mapping[str, str], home: Path) -> tuple[bytes, str]:
    if content := environ.get("OPENCODE_AUTH_CONTENT"):
        return content.encode(), "`OPENCODE_AUTH_CONTENT`"
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    path = Path(environ.get("OPENCODE_AUTH_JSON") or data / "opencode" / "auth.json")
    try:
        return path.read_bytes(), f"`{path}`"
    except OSError:
        return b"", ""
