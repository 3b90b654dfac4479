"""The websearch tool: Exa when it is configured, else DuckDuckGo's HTML page; knows nothing of the pages found."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

from nanocode import __version__
from nanocode.errors import ToolError
from nanocode.frozen import frozen
from nanocode.http import certificates, httpx
from nanocode.jsontext import dumps, loads
from nanocode.settings import Settings
from nanocode.tool import Context, Result, tool
from nanocode.tools.output import framed

_SECONDS = 25.0
_ANSWER_BYTES = 4 << 20
_BLOCKED = "DuckDuckGo blocks this machine as a robot"


@frozen
class Hit:
    """One result."""

    title: str
    url: str
    snippet: str


class Unavailable(ToolError):
    """A search engine gave no answer; another one may."""


@tool(reads=True, aliases={"q": "query", "num_results": "numResults", "limit": "numResults"})
async def websearch(
    context: Context,
    query: Annotated[str, "what to search for"],
    numResults: Annotated[int, "results at most", {"minimum": 1, "maximum": 10}] = 8,
    provider: Annotated[Literal["auto", "exa", "duckduckgo"], "search engine; auto: what is configured"] = "auto",
    type: Annotated[Literal["auto", "fast", "deep"], "how thoroughly Exa searches"] = "auto",
    livecrawl: Annotated[Literal["fallback", "preferred"] | None, "whether Exa fetches pages anew"] = None,
    contextMaxCharacters: Annotated[int, "characters at most", {"minimum": 500, "maximum": 50000}] = 10000,
) -> Result:
    """Search the web: titles, addresses and excerpts. Read a page itself by webfetch."""
    settings = context.settings
    asked: dict[str, Any] = {"query": query, "numResults": numResults, "type": type}
    asked |= {"contextMaxCharacters": contextMaxCharacters} | ({"livecrawl": livecrawl} if livecrawl else {})
    notes, failures = "", []
    engines = {"exa": ["exa"], "duckduckgo": ["duckduckgo"], "auto": _automatic(settings)}[provider]
    for engine in engines:
        try:
            found = await (_exa(settings, asked) if engine == "exa" else _duckduckgo(settings, query, numResults))
        except Unavailable as error:
            failures.append(error)
            continue
        notes = f"[{failures[0]}; these are DuckDuckGo's results]\n" if failures else ""
        return Result(notes + framed(_cut(found, contextMaxCharacters), f"websearch: {query}"))
    raise ToolError("; ".join(map(str, failures)), next((each.hint for each in failures if each.hint), ""))


def _automatic(settings: Settings) -> list[str]:
    return (["exa"] if settings.environ.get("EXA_API_KEY") else []) + ["duckduckgo"]


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}\n[cut at contextMaxCharacters={limit}]"


async def _exa(settings: Settings, asked: dict[str, Any]) -> str:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    body = dumps(call | {"params": {"name": "web_search_exa", "arguments": asked}})
    key = settings.environ.get("EXA_API_KEY", "")
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    status, answer = await _post("Exa", settings.exa_url, key, content=body, headers=headers)
    if status >= 400:
        raise Unavailable(f"Exa answers HTTP {status}: {_plain(answer, key)}", "check EXA_API_KEY")
    return _exa_text(answer, key)


def _exa_text(answer: str, key: str) -> str:
    """The text of an answer that is JSON, or the one data line of an event stream."""
    lines = [line.removeprefix("data:") for line in answer.splitlines() if line.startswith("data:")]
    try:
        data = loads((lines or [answer])[-1])
        if "error" in data:
            raise Unavailable(f"Exa says: {_plain(str(data['error'].get('message')), key)}")
        parts = [each["text"] for each in data["result"]["content"] if each.get("type") == "text"]
        failed = data["result"].get("isError")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Unavailable(f"Exa's answer is none: {_plain(answer, key)}") from None
    text = "\n\n".join(parts)
    if failed:
        raise Unavailable(f"Exa says: {_plain(text, key)}")
    return text or "no results"


def _plain(text: str, key: str) -> str:
    text = text.replace(key, "[key]") if key else text
    return " ".join(text.split())[:300]


async def _duckduckgo(settings: Settings, query: str, count: int) -> str:
    agent = settings.user_agent or f"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 nanocode/{__version__}"
    url = settings.duckduckgo_url
    status, html = await _post("DuckDuckGo", url, "", data={"q": query, "b": ""}, headers={"User-Agent": agent})
    # A page with a puzzle comes as 202; calling it "no results" would send the model looking for other words.
    if status == 202 or "anomaly-modal" in html:
        raise Unavailable(_BLOCKED, "set EXA_API_KEY to search by Exa (exa.ai), or try again in a while")
    if status >= 400:
        raise Unavailable(f"DuckDuckGo answers HTTP {status}", "set EXA_API_KEY to search by Exa (exa.ai)")
    found = hits(html)[:count]
    return "\n\n".join(f"{n}. {each.title}\n{each.url}\n{each.snippet}".strip() for n, each in enumerate(found, 1)) or (
        "no results"
    )


async def _post(engine: str, url: str, key: str, **options: Any) -> tuple[int, str]:
    try:
        async with (
            httpx.AsyncClient(verify=certificates(), timeout=_SECONDS, follow_redirects=True) as client,
            client.stream("POST", url, params={"exaApiKey": key} if key else None, **options) as response,
        ):
            body = b""
            async for data in response.aiter_bytes():
                body += data
                if len(body) > _ANSWER_BYTES:
                    break
            return response.status_code, body.decode(response.charset_encoding or "utf-8", "replace")
    except (httpx.RequestError, httpx.InvalidURL, LookupError) as error:
        raise Unavailable(f"{engine} cannot be reached: {_plain(str(error), key) or type(error).__name__}") from None


def hits(html: str) -> list[Hit]:
    """The results of DuckDuckGo's HTML page, without advertisements."""
    # A tenth of a second, and only a search needs it.
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(html, "html.parser")
    links = soup.select(".result__a") or soup.select("h2 a")
    found: dict[str, Hit] = {}
    for link in links:
        around = link.find_parent(class_="result")
        classes = around.get("class") if around else None
        url = _target(str(link.get("href") or ""))
        if not url or "result--ad" in (classes or ()):
            continue
        snippet = around.select_one(".result__snippet") if around else None
        words = " ".join(snippet.get_text().split()) if snippet else ""
        found.setdefault(url, Hit(" ".join(link.get_text().split()), url, words))
    return list(found.values())


def _target(href: str) -> str:
    """Where a result really leads: the engine wraps it as `/l/?uddg=…`; "" for its own pages."""
    parts = urlsplit(href)
    own = not parts.netloc or parts.netloc.endswith("duckduckgo.com")
    if own and parts.path.startswith("/l/"):
        return next(_web(parse_qs(parts.query).get("uddg", [])), "")
    return "" if own else next(_web([href]), "")


def _web(urls: list[str]) -> Iterator[str]:
    for url in urls:
        if url.startswith(("http://", "https://")) and "duckduckgo.com/y.js" not in url:
            yield url
