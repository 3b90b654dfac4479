"""Examines an installation: what is there, what is missing, and what to do about it; starts no conversation."""

import asyncio
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import aclosing
from importlib.metadata import PackageNotFoundError, version
from textwrap import fill
from typing import TYPE_CHECKING, NamedTuple

from nanocode import __version__, hot, servers
from nanocode.errors import NanocodeError, UsageError
from nanocode.guard.trust import Trust
from nanocode.nearest import nearest
from nanocode.provider import auth, catalog
from nanocode.provider.client import Client
from nanocode.settings import Settings

if TYPE_CHECKING:
    from nanocode.mcp.link import Link

GOOD, NOTE, BAD = "ok", "note", "bad"
_AGAIN = "`pip install --no-cache-dir --force-reinstall .` in the clone"
# Below the first of the words.
_INDENT = " " * 16
# A fetch that is cut off leaves half a package in the cache of npx, which no later start mends.
_SLOW = "`startTimeoutMs` gives a slow one longer; what npx or uvx has to fetch, fetch once by hand"
_LIBRARIES = ("httpx", "orjson", "regex", "tiktoken", "prompt-toolkit")


class Finding(NamedTuple):
    """One thing looked at: `state` is ok, note (works, but less well) or bad; `fix` is the next step."""

    what: str
    state: str
    words: str
    fix: str = ""


def examine(settings: Settings, warnings: tuple[str, ...]) -> Iterator[Finding]:
    """Look at everything: start each MCP server once, and last ask the endpoint for its list of models."""
    yield _core()
    yield _libraries()
    yield from (Finding("settings", NOTE, warning, "correct it, or take it out") for warning in warnings)
    yield _folder(settings)
    yield from _programs(settings)
    yield _terminal(settings)
    yield from _servers(settings)
    if settings.demo:
        yield Finding("model", GOOD, "the demo model needs no key and no network")
        return
    try:
        key = auth.find(settings)
        model = catalog.model(settings, settings.model)
    except UsageError as error:
        yield Finding("key", BAD, str(error), error.hint)
        return
    words = auth.astray(settings, key)
    yield Finding("key", NOTE if words else GOOD, words or f"from {key.source}, for {catalog.host(settings.endpoint)}")
    yield asyncio.run(_endpoint(settings, key, model))


def report(found: Finding) -> str:
    """A finding as a line, with its fix on the next; a terminal gets them wrapped."""
    lines = [f"{found.state:4}  {found.what:9} {found.words}", *([f"{_INDENT}hint: {found.fix}"] if found.fix else [])]
    if sys.stdout.isatty():
        columns = shutil.get_terminal_size().columns
        lines = [fill(line, columns, subsequent_indent=_INDENT, break_on_hyphens=False) for line in lines]
    return "".join(f"{line}\n" for line in lines)


def _core() -> Finding:
    words = f"nanocode {__version__}, {hot.BACKEND} core, Python {platform.python_version()}, {platform.platform()}"
    if hot.BACKEND == "native" or hot.REASON == "NANOCODE_EXT=off":
        return Finding("core", GOOD, words)
    again = f"install a C compiler, then {_AGAIN}"
    return Finding("core", NOTE, f"{words}: {hot.REASON}", again)


def _libraries() -> Finding:
    found, missing = [], []
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    # orjson has no wheels for every Python; the standard library serves there.
    state = BAD if set(missing) - {"orjson"} else GOOD
    words = ", ".join(found) + (f"; without {', '.join(missing)}" if missing else "")
    return Finding("libraries", state, words, _AGAIN if state == BAD else "")


def _folder(settings: Settings) -> Finding:
    folder = settings.directory
    there = folder if folder.exists() else folder.parent
    if os.access(there, os.W_OK):
        return Finding("folder", GOOD, f"`{folder}`" + ("" if folder.exists() else ", made at the first need"))
    return Finding("folder", BAD, f"`{there}` cannot be written", "set NANOCODE_DIR to a folder of yours")


def _programs(settings: Settings) -> Iterator[Finding]:
    path = settings.environ.get("PATH", os.defpath)
    for name, without in (("bash", "commands run in sh"), ("git", "core.excludesFile is not honoured")):
        where = shutil.which(name, path=path)
        yield Finding(name, GOOD if where else NOTE, where or f"not found: {without}")


def _terminal(settings: Settings) -> Finding:
    term, encoding = settings.environ.get("TERM", ""), sys.stdout.encoding
    words = f"TERM={term or '(unset)'}, {encoding}, {shutil.get_terminal_size().columns} columns"
    if encoding.lower().replace("-", "") != "utf8":
        return Finding("terminal", NOTE, words, "set LANG to a UTF-8 locale, such as C.UTF-8")
    if term in ("", "dumb"):
        return Finding("terminal", NOTE, f"{words}: plain lines only", "set TERM, such as to xterm-256color")
    return Finding("terminal", GOOD, words)


def _servers(settings: Settings) -> Iterator[Finding]:
    """What the MCP files say and whether each server starts, within its budget and side by side."""
    left_out: list[Finding] = []
    trust = Trust(settings.trust_file, everything=settings.trust)

    async def started() -> list[Finding]:
        host = servers.opened(settings, trust, lambda words, hint: left_out.append(Finding("mcp", NOTE, words, hint)))
        if host is None:
            return []
        try:
            for link in host.links.values():
                link.start()
            await asyncio.gather(*(link.settled() for link in host.links.values()))
            return [_server(link, settings) for link in host.links.values()]
        finally:
            await host.close()

    found = asyncio.run(started())
    yield from left_out
    yield from found


def _server(link: "Link", settings: Settings) -> Finding:
    if not link.failure and link.inventory is not None:
        return Finding("mcp", GOOD, f"`{link.server.name}` offers {len(link.inventory.tools)} tools")
    return Finding("mcp", BAD, "; ".join(link.failure.splitlines()), _mended(link, settings))


def _mended(link: "Link", settings: Settings) -> str:
    """What to do about a server that does not start."""
    server = link.server
    if server.transport != "stdio":
        return "check that it runs, and its `url` and `headers` in `mcp.json`"
    if not shutil.which(server.command, path=server.env.get("PATH") or settings.environ.get("PATH", os.defpath)):
        return f"install `{server.command}`, or write its whole path into `mcp.json`"
    if link.log.is_file() and link.log.stat().st_size:
        return f"read the whole of its stderr in `{link.log}`; {_SLOW}"
    return f"check its entry in `mcp.json`; {_SLOW}"


async def _endpoint(settings: Settings, key: auth.Key, model: catalog.Model) -> Finding:
    try:
        async with aclosing(Client(settings, key)) as client:
            listed = await client.models()
    except NanocodeError as error:
        return Finding("endpoint", BAD, str(error), error.hint or "check OPENAI_BASE_URL, the key and the network")
    words = f"`{settings.endpoint}` lists {len(listed)} models"
    if model.id in listed:
        return Finding("endpoint", GOOD, f"{words}, `{model.id}` among them")
    near = nearest(model.id, listed) or listed[:3]
    return Finding("endpoint", NOTE, f"{words}, but not `{model.id}`", f"set MODEL; nearest: {', '.join(near)}")
