"""The webfetch tool: one page, as a model reads it; knows nothing of what the page is for."""

import asyncio
import codecs
import os
import subprocess
import sys
from typing import Annotated, Any, Literal

from nanocode import __version__
from nanocode.errors import ToolError
from nanocode.guard.addresses import named
from nanocode.jsontext import dumps, loads
from nanocode.tool import Context, Result, tool
from nanocode.tools import page
from nanocode.tools.download import Download, download
from nanocode.tools.output import framed, size

_BODY_BYTES = 5 << 20
_CONVERSION_SECONDS = 20.0
_HTML = ("text/html", "application/xhtml+xml")
_TEXT = ("json", "xml", "yaml", "javascript", "ecmascript", "toml", "csv", "x-sh", "sql", "graphql", "x-ndjson")
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_ACCEPT = "text/markdown, text/html;q=0.9, application/xhtml+xml;q=0.9, text/plain;q=0.8, */*;q=0.5"


@tool(
    reads=True,
    aliases={"timeout": "timeoutSeconds", "timeout_seconds": "timeoutSeconds", "max_characters": "maxCharacters"},
)
async def webfetch(
    context: Context,
    url: Annotated[str, "http:// or https:// address"],
    format: Annotated[Literal["markdown", "text", "html"], "how a web page is given back"] = "markdown",
    timeoutSeconds: Annotated[int, "seconds for all of it", {"minimum": 1, "maximum": 120}] = 30,
    maxCharacters: Annotated[int, "characters to give back at most", {"minimum": 1000, "maximum": 200000}] = 30000,
) -> Result:
    """Fetch a URL: a web page as markdown, other text as it is. Addresses inside the user's network are fetched only
    if the user named them.
    """
    settings = context.settings

    def wished(host: str, port: int) -> bool:
        return settings.webfetch_private or named(host.strip("[]"), port, context.said())

    agent = settings.user_agent or f"Mozilla/5.0 (compatible; nanocode/{__version__})"
    headers = {"User-Agent": agent, "Accept": _ACCEPT, "Accept-Encoding": "gzip, deflate"}
    try:
        async with asyncio.timeout(timeoutSeconds):
            found = await download(_complete(url), wished, headers, _BODY_BYTES)
            title, text = await _read(found, format, dict(settings.environ))
    except TimeoutError:
        raise ToolError(
            f"`{url}` was not fetched within {timeoutSeconds} s; raise timeoutSeconds to wait longer"
        ) from None
    return _result(found, title, text, maxCharacters, moved=found.url.rstrip("/") != _complete(url).rstrip("/"))


def _complete(url: str) -> str:
    return url.strip() if "://" in url else f"https://{url.strip()}"


def _result(found: Download, title: str, text: str, limit: int, *, moved: bool) -> Result:
    notes = []
    if len(text) > limit:
        more = f" Use maxCharacters={min(len(text), 200_000)} for more." if limit < 200_000 else ""
        notes.append(f"[Showing the first {limit} of {len(text)} characters.{more}]")
    if found.cut:
        notes.append(f"[The body is longer than {size(_BODY_BYTES)}; only its start was read.]")
    head = f"Title: {title}\n" if title else ""
    arrived = f"[redirected to {found.url}]\n" if moved else ""
    answer = "\n".join([arrived + framed(head + text[:limit], found.url), *notes])
    if found.status >= 400:
        status = f"{found.status} {found.reason}".rstrip()
        raise ToolError(f"HTTP {status} for `{found.url}`\n{answer}")
    return Result(answer)


async def _read(found: Download, format: str, environ: dict[str, str]) -> tuple[str, str]:
    if found.mime in _HTML:
        html = page.decoded(found.data, found.charset, html=True)
        return ("", html) if format == "html" else await _converted(html, found.url, format, environ)
    is_text = found.mime.startswith("text/") or any(word in found.mime for word in _TEXT)
    if not is_text or _is_binary(found):
        more = "more than " if found.cut else ""
        return "", f"[not text: {found.mime}, {more}{size(len(found.data))}]"
    return "", page.decoded(found.data, found.charset, html=False)


def _is_binary(found: Download) -> bool:
    """Whether a body that is called text holds NULs that are no half of a wide character."""
    wide = found.charset.lower().startswith(("utf-16", "utf-32")) or found.data.startswith(_WIDE_MARKS)
    return b"\0" in found.data[:4096] and (not wide or b"\0\0\0\0" in found.data[:4096])


async def _converted(html: str, url: str, format: str, environ: dict[str, str]) -> tuple[str, str]:
    asked = dumps({"html": html, "url": url, "markdown": format == "markdown"})
    # -P, and a search path written out: the working folder may hold a file named like a library.
    environ["PYTHONPATH"] = os.pathsep.join(each for each in sys.path if os.path.isabs(each))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", "from nanocode.tools.page import serve; serve()"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environ,
    )
    try:
        async with asyncio.timeout(_CONVERSION_SECONDS):
            answer, _ = await process.communicate(asked)
        read: list[Any] = loads(answer)
        return str(read[0]), str(read[1])
    except (TimeoutError, ValueError):
        return "", page.rough(html)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
