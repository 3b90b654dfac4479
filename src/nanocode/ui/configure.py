"""`nanocode mcp list|add|remove|login`: MCP servers from the command line; knows nothing of conversations."""

import asyncio
import webbrowser
from argparse import REMAINDER, ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from nanocode.errors import UsageError
from nanocode.guard.trust import Trust
from nanocode.mcp import config, save
from nanocode.mcp.link import Link
from nanocode.settings import Settings

_USAGE = """\
nanocode mcp list
nanocode mcp add [--project] [--env NAME=VALUE]… NAME COMMAND [ARGUMENT…]
nanocode mcp add [--project] [--header NAME:VALUE]… [--sse] NAME https://…
nanocode mcp remove [--project] NAME
nanocode mcp login NAME"""
_LOGIN_SECONDS = 300.0
_WEB = ("http://", "https://")


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"usage:\n{_USAGE}")


def run(settings: Settings, words: list[str], say: Callable[[str], None]) -> str:
    """Do what the words say; the text to print. `say` gets what a person must see meanwhile. Raises UsageError."""
    if {"--help", "-h"} & set(words[:2]):
        return f"{_USAGE}\n"
    asked = _parser().parse_args(words)
    if asked.action == "add" and asked.target and asked.target[0].startswith(_WEB):
        asked = _flags_behind(asked)
    if asked.action == "list":
        return _listed(settings)
    if asked.action == "login":
        return asyncio.run(_login(settings, asked.name, say))
    path = settings.cwd / ".nanocode" / "mcp.json" if asked.project else settings.directory / "mcp.json"
    return _removed(settings, path, asked.name) if asked.action == "remove" else _added(settings, path, asked)


def _parser() -> ArgumentParser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", add_help=False)
    for action in ("add", "remove", "login"):
        each = actions.add_parser(action, add_help=False, allow_abbrev=False)
        if action == "remove":
            each.add_argument("--project", action="store_true")
        if action == "add":
            _add_flags(each)
        each.add_argument("name")
        if action == "add":
            each.add_argument("target", nargs=REMAINDER)
    return parser


def _add_flags(parser: ArgumentParser) -> None:
    for name in ("--project", "--sse"):
        parser.add_argument(name, action="store_true")
    for name in ("--env", "--header"):
        parser.add_argument(name, action="append", default=[])


def _flags_behind(asked: Namespace) -> Namespace:
    """An address has no arguments of its own: what follows it are flags."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    _add_flags(parser)
    return parser.parse_args(asked.target[1:], Namespace(**{**vars(asked), "target": asked.target[:1]}))


def _added(settings: Settings, path: Path, asked: Namespace) -> str:
    entry = _entry(asked)
    try:
        with suppress(config.Unset):
            config.server(asked.name, entry, settings.environ)
    except config.Invalid as error:
        raise UsageError(f"this is no MCP server: {error}", f"usage:\n{_USAGE}") from None
    keep_trust = _trusted(settings, path)
    save.add(path, asked.name, entry)
    keep_trust()
    return f"added `{asked.name}` to `{path}`\n"


def _removed(settings: Settings, path: Path, name: str) -> str:
    keep_trust = _trusted(settings, path)
    if not save.remove(path, name):
        raise UsageError(f"there is no MCP server `{name}` in `{path}`", "`nanocode mcp list` lists them")
    keep_trust()
    return f"removed `{name}` from `{path}`\n"


def _trusted(settings: Settings, path: Path) -> Callable[[], None]:
    """What keeps a file trusted through a change by the user's own hand: one that was, or that is new."""
    trust = Trust(settings.trust_file)
    if path.parent == settings.directory or (path.exists() and not trust.allows(path, path.read_bytes())):
        return lambda: None
    return lambda: trust.accept(path, path.read_bytes())


def _entry(asked: Namespace) -> dict[str, Any]:
    target = asked.target[1:] if asked.target[:1] == ["--"] else asked.target
    if not target:
        raise UsageError("a command or an address is missing", f"usage:\n{_USAGE}")
    if target[0].startswith(_WEB):
        entry: dict[str, Any] = {"url": target[0]} | ({"type": "sse"} if asked.sse else {})
        return entry | ({"headers": _pairs(asked.header, ":")} if asked.header else {})
    entry = {"command": target[0], "args": target[1:]}
    return entry | ({"env": _pairs(asked.env, "=")} if asked.env else {})


def _pairs(texts: list[str], sign: str) -> dict[str, str]:
    for text in texts:
        if sign not in text:
            raise UsageError(f"`{text}` must be NAME{sign}VALUE", f"usage:\n{_USAGE}")
    return {name.strip(): value.strip() for name, _, value in (text.partition(sign) for text in texts)}


async def _login(settings: Settings, name: str, say: Callable[[str], None]) -> str:
    trust = Trust(settings.trust_file, everything=settings.trust)
    found = config.load(
        settings.mcp_files,
        settings.environ,
        settings.cwd,
        lambda path, content: path.parent == settings.directory or trust.allows(path, content),
    )
    if name not in found.servers:
        raise UsageError(f"there is no MCP server `{name}`", "`nanocode mcp list` lists them")

    async def visit(url: str) -> None:
        say(f"log in here, if no browser opens by itself: {url}")
        await asyncio.to_thread(webbrowser.open, url)

    link = Link(
        found.servers[name],
        settings.cwd,
        settings.directory,
        lambda: None,
        start_seconds=_LOGIN_SECONDS,
        call_seconds=_LOGIN_SECONDS,
        visit=visit,
    )
    try:
        await link.refreshed()
    finally:
        await link.close()
    return f"`{name}` is ready, with {len(link.inventory.tools) if link.inventory else 0} tools\n"


def _listed(settings: Settings) -> str:
    lines = []
    trust = Trust(settings.trust_file, everything=settings.trust)
    for path in (each for each in settings.mcp_files if each.is_file()):
        content = path.read_bytes()
        known = path.parent == settings.directory or trust.allows(path, content)
        lines.append(f"{path}" + ("" if known else " (not trusted)"))
        lines += [f"  {each}" for each in config.outline(content).split("; ") if each]
    found = config.load(settings.mcp_files, settings.environ, settings.cwd)
    lines += [f"note: {each}" for each in found.warnings]
    return "\n".join(lines or ["no MCP server is configured; `nanocode mcp add NAME COMMAND…` adds one"]) + "\n"
