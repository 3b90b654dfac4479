"""Which MCP servers are configured, from all files that may name them; knows nothing of how they are reached.

The files of Claude, Cursor (`mcpServers`) and VS Code (`servers`) are read as they are. Nothing here raises for what
a file holds: a broken file or entry becomes a warning, and the others stand.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanocode.jsontext import loads

TRANSPORTS = {"stdio": "stdio", "http": "http", "streamable-http": "http", "streamableHttp": "http", "sse": "sse"}
_LISTS = {
    "allowed": ("enabledTools", "allowedTools", "includeTools"),
    "refused": ("disabledTools", "excludeTools"),
    "selected": ("selectedTools",),
}
KEYS = frozenset(
    (
        *("command", "args", "env", "cwd", "url", "headers", "type", "transport", "enabled", "disabled", "timeoutMs"),
        *("timeout", "startTimeoutMs", "description", "apiKeyEnv", "envHeaders", "protocolVersion", "oauth"),
        *(name for names in _LISTS.values() for name in names),
    )
)
OAUTH_KEYS = frozenset(
    (
        *("clientId", "clientSecret", "clientMetadataUrl", "callbackPort", "scope"),
        *("grant", "issuer", "privateKey", "algorithm", "idToken", "idTokenUrl", "idClientId"),
    )
)
# What the logins that ask no person need; the last takes `privateKey` in the place of `clientSecret`, too.
_GRANTS = {
    "identity_assertion": ("clientId", "clientSecret", "issuer", "idToken", "idTokenUrl"),
    "client_credentials": ("clientId", "clientSecret", "issuer"),
}
_VARIABLE = re.compile(r"\$env:([A-Za-z_]\w*)|\$\{(?:env:)?([A-Za-z_][\w.:-]*?)(?::-([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Server:
    """One entry. `transport` is stdio, http, sse, or "" for HTTP that may turn out to be the older SSE.

    `allowed` None means all tools. Times in seconds, 0: the session's default. Values may be secret: no repr; `shown`
    is what the file says it runs, its variables unexpanded.
    """

    name: str
    transport: str
    command: str = ""
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str = ""
    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    oauth: Mapping[str, str] = field(default_factory=dict, repr=False)
    allowed: tuple[str, ...] | None = None
    refused: tuple[str, ...] = ()
    selected: tuple[str, ...] = ()
    description: str = ""
    protocol: str = ""
    call_seconds: float = 0.0
    start_seconds: float = 0.0
    shown: str = ""

    def offers(self, tool: str) -> bool:
        """Whether the configuration lets this tool of the server be used."""
        return (self.allowed is None or tool in self.allowed) and tool not in self.refused

    def selects(self, tool: str) -> bool:
        """Whether the tool stands in the model's own list of tools."""
        return ("*" in self.selected or tool in self.selected) and self.offers(tool)


@dataclass(frozen=True, slots=True)
class Config:
    """The servers to use, by name, those switched off, and one warning a line for what was left out."""

    servers: Mapping[str, Server]
    disabled: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Invalid(ValueError):
    """What is wrong with a file or an entry, in words."""


class Unset(Invalid):
    """A variable that an entry uses is missing here; the entry itself may be sound."""


def load(
    files: Sequence[Path],
    environ: Mapping[str, str],
    cwd: Path,
    allowed: Callable[[Path, bytes], bool] = lambda path, content: True,
) -> Config:
    """The configuration of `files`, farthest first: a nearer one adds, changes keys, or by null takes away.

    A file for which `allowed` says no is passed over in silence: whoever refused it says so.
    """
    entries: dict[str, Any] = {}
    warnings: list[str] = []
    for path in files:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            warnings.append(f"`{path}` is ignored: {error.strerror}")
            continue
        if not allowed(path, content):
            continue
        try:
            entries = merged(entries, _entries(content, path, warnings))
        except Invalid as error:
            warnings.append(f"`{path}` is ignored: {error}")
    return _config(entries, {**environ, "workspaceFolder": str(cwd)}, warnings)


def _config(entries: Mapping[str, Any], environ: Mapping[str, str], warnings: list[str]) -> Config:
    servers, disabled = {}, []
    for name, entry in entries.items():
        if not isinstance(entry, dict):
            warnings.append(f"MCP server `{name}` is ignored: it must be an object")
        elif _is_off(entry):
            disabled.append(name)
        else:
            try:
                servers[name] = server(name, entry, environ)
            except Invalid as error:
                warnings.append(f"MCP server `{name}` is ignored: {error}")
    return Config(servers, tuple(disabled), tuple(warnings))


def _is_off(entry: Mapping[str, Any]) -> bool:
    return entry.get("disabled") is True or entry.get("enabled") is False


def parse(content: bytes) -> dict[str, Any]:
    """The object of a file; comments and trailing commas are allowed. Raises Invalid with line and column."""
    if not content.strip():
        return {}
    try:
        data = loads(content)
    except ValueError:
        data = _lenient(content.decode("utf-8-sig", "replace"))
    if not isinstance(data, dict):
        raise Invalid("it must hold one JSON object")
    return data


def outline(content: bytes) -> str:
    """The servers that a file names and what each would run, for someone who has to decide about it."""
    try:
        found = _entries(content, Path(), [])
    except Invalid as error:
        return f"it cannot be read: {error}"
    off = {name: " (disabled)" for name, entry in found.items() if isinstance(entry, dict) and _is_off(entry)}
    lines = [f"{name}: {_target(entry)}{off.get(name, '')}" for name, entry in found.items()]
    return "; ".join(lines) or "it names no server"


def _target(entry: Any) -> str:
    if not isinstance(entry, dict):
        return "taken away" if entry is None else "not an object"
    if not entry.get("command"):
        return str(entry.get("url", "changed keys"))
    # A file that nobody checked yet: `args` may be anything.
    args = entry.get("args")
    return " ".join(map(str, (entry["command"], *(args if isinstance(args, list) else ()))))


def _lenient(text: str) -> Any:
    # Pure Python and seldom needed: plain JSON never comes here.
    import json5

    try:
        return json5.loads(text)
    except RecursionError:
        raise Invalid("it is nested too deeply") from None
    except ValueError as error:
        found = re.fullmatch(r"<string>:(\d+) (.*) at column (\d+)", str(error), re.DOTALL)
        words = f"line {found[1]}, column {found[3]}: {found[2]}" if found else str(error)
        raise Invalid(f"not valid JSON, {' '.join(words.split())}") from None


def _entries(content: bytes, path: Path, warnings: list[str]) -> dict[str, Any]:
    data = parse(content)
    found: dict[str, Any] = {}
    for key in ("servers", "mcpServers"):
        value = data.get(key, {})
        if not isinstance(value, dict):
            raise Invalid(f"`{key}` must be an object of servers by name")
        found |= value
    for name, entry in found.items():
        unknown = _unknown(entry) if isinstance(entry, dict) else []
        warnings += [f"unknown key `{key}` of MCP server `{name}` in `{path}` is ignored" for key in unknown]
    others = sorted(set(data) - {"servers", "mcpServers", "inputs", "$schema"})
    warnings += [f"unknown key `{key}` in `{path}` is ignored" for key in others]
    return found


def _unknown(entry: dict[str, Any]) -> list[str]:
    login = entry.get("oauth")
    inside = sorted(set(login) - OAUTH_KEYS) if isinstance(login, dict) else []
    return [*sorted(set(entry) - KEYS), *(f"oauth.{key}" for key in inside)]


def merged(farther: Mapping[str, Any], nearer: Mapping[str, Any]) -> dict[str, Any]:
    """`nearer` laid over `farther` key by key (RFC 7396); an entry that says where its server is stands alone.

    Otherwise a project could send the headers of the user's own server to an address of its choice.
    """
    result = dict(farther)
    for key, value in nearer.items():
        old = result.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(old, dict) and not {"command", "url"} & set(value):
            result[key] = merged(old, value)
        else:
            result[key] = merged({}, value) if isinstance(value, dict) else value
    return result


def server(name: str, entry: Mapping[str, Any], environ: Mapping[str, str]) -> Server:
    """The server of one merged entry. Raises Invalid with what is wrong in it."""
    transport = _transport(entry)
    words = {key: expanded(_text(entry, key), environ) for key in ("command", "cwd", "url")}
    args = [expanded(each, environ) for each in _texts(entry, "args")]
    lists = {kind: [each for key in keys for each in _texts(entry, key)] for kind, keys in _LISTS.items()}
    limited = any(key in entry for key in _LISTS["allowed"])
    return Server(
        name=name,
        transport=transport,
        args=tuple(args),
        env=_mapping(entry, "env", environ),
        headers=_headers(entry, environ),
        oauth=_oauth(entry, environ),
        allowed=tuple(lists["allowed"]) if limited and "*" not in lists["allowed"] else None,
        refused=tuple(lists["refused"]),
        selected=tuple(lists["selected"]),
        description=_text(entry, "description"),
        protocol=_text(entry, "protocolVersion"),
        call_seconds=_seconds(entry, "timeoutMs") or _seconds(entry, "timeout"),
        start_seconds=_seconds(entry, "startTimeoutMs"),
        shown=_target(entry),
        **words,
    )


def _transport(entry: Mapping[str, Any]) -> str:
    named = _text(entry, "type") or _text(entry, "transport")
    if named and named not in TRANSPORTS:
        raise Invalid(f"`{named}` is no transport; the transports are: {', '.join(sorted(TRANSPORTS))}")
    wanted = TRANSPORTS.get(named, "stdio" if entry.get("command") else "")
    key = "command" if wanted == "stdio" else "url"
    if not entry.get(key):
        raise Invalid(f"it has no `{key}`" if named else "it has neither `command` nor `url`")
    if wanted != "stdio" and not re.match(r"https?://|\$", _text(entry, "url")):
        raise Invalid("its `url` must begin with http:// or https://")
    return wanted


def expanded(text: str, environ: Mapping[str, str]) -> str:
    """`text` with `$env:NAME`, `${NAME}` and `${NAME:-default}` filled in. Raises Invalid for a missing variable."""

    def value(found: re.Match[str]) -> str:
        name, default = found[1] or found[2], found[3]
        if name in environ and (environ[name] or default is None):
            return environ[name]
        if default is None:
            raise Unset(f"the variable `{name}` is not set")
        return default

    return _VARIABLE.sub(value, text)


def _headers(entry: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    headers = _mapping(entry, "headers", environ)
    for header, variable in _mapping(entry, "envHeaders", {}).items():
        headers[header] = expanded(f"$env:{variable}", environ)
    if key := _text(entry, "apiKeyEnv"):
        headers["Authorization"] = "Bearer " + expanded(f"$env:{key}", environ)
    return headers


def _oauth(entry: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """How this client is known at the server's login, where it does not register itself."""
    login = _mapping(entry, "oauth", environ)
    grant = login.get("grant")
    if grant is not None and grant not in _GRANTS:
        known = "` or `".join(_GRANTS)
        raise Invalid(f"`oauth.grant` can be `{known}` only; without it a person logs in")
    keyed = grant == "client_credentials" and "privateKey" in login
    needed = [key for key in _GRANTS[grant] if not (keyed and key == "clientSecret")] if grant else []
    if missing := [key for key in needed if not login.get(key)]:
        raise Invalid(f"`{grant}` needs `oauth.{missing[0]}`")
    if not login.get("callbackPort", "1").isdecimal():
        raise Invalid("`oauth.callbackPort` must be a number")
    if not login.get("clientMetadataUrl", "https://").startswith("https://"):
        raise Invalid("`oauth.clientMetadataUrl` must begin with https://")
    return login


def _mapping(entry: Mapping[str, Any], key: str, environ: Mapping[str, str]) -> dict[str, str]:
    value = entry.get(key) or {}
    if not isinstance(value, dict) or not all(isinstance(each, str | int | float) for each in value.values()):
        raise Invalid(f"`{key}` must be an object of texts")
    return {name: expanded(str(each), environ) if key != "envHeaders" else str(each) for name, each in value.items()}


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key) or ""
    if not isinstance(value, str):
        raise Invalid(f"`{key}` must be a text")
    return value


def _texts(entry: Mapping[str, Any], key: str) -> list[str]:
    value = entry.get(key) or []
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(each, str | int | float) for each in value):
        raise Invalid(f"`{key}` must be a list of texts")
    return [str(each) for each in value]


def _seconds(entry: Mapping[str, Any], key: str) -> float:
    value = entry.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise Invalid(f"`{key}` must be a number of milliseconds")
    # Some clients count `timeout` in seconds and some in milliseconds; nobody means a tenth of a second.
    return float(value) if key == "timeout" and value < 1000 else value / 1000
