"""Gets one URL for a model: every hop checked, pinned to the checked address, bounded; knows nothing of documents."""

import asyncio
import socket
import zlib
from collections.abc import Callable, Iterator
from urllib.request import getproxies, proxy_bypass

from nanocode.errors import ToolError
from nanocode.frozen import frozen
from nanocode.guard.addresses import Reach, is_metadata, reach
from nanocode.http import certificates, httpx

_HOPS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_ADDRESSES = 3


@frozen
class Download:
    """What came: `url` after all hops, and the body's first bytes; `cut` says that there was more."""

    url: str
    status: int
    reason: str
    mime: str
    charset: str
    data: bytes
    cut: bool


async def download(url: str, wished: Callable[[str, int], bool], headers: dict[str, str], limit: int) -> Download:
    """The document at `url`, at most `limit` bytes of it. `wished(host, port)` opens an address that is not public.

    Raises ToolError for an address that is refused, and for what breaks on the way.
    """
    async with httpx.AsyncClient(verify=certificates(), follow_redirects=False, timeout=None) as client:
        for _ in range(_HOPS):
            request, where = await _request(client, url, wished, headers)
            try:
                response = await _sent(client, request, where)
            except (httpx.RequestError, httpx.InvalidURL) as error:
                raise ToolError(f"`{url}` failed: {_words(error)}") from None
            try:
                target = response.headers.get("location", "")
                if response.status_code not in _REDIRECTS or not target:
                    return await _read(response, url, limit)
                url = _joined(url, target)
            except httpx.RequestError as error:
                raise ToolError(f"`{url}` broke off: {_words(error)}") from None
            finally:
                await response.aclose()
    raise ToolError(f"`{url}` is the {_HOPS}th redirect in a row; it leads in a circle")


async def _request(
    client: httpx.AsyncClient, text: str, wished: Callable[[str, int], bool], headers: dict[str, str]
) -> tuple[httpx.Request, list[str]]:
    url = _parsed(text)
    host = url.raw_host.decode().lower()
    port = url.port or (443 if url.scheme == "https" else 80)
    if is_metadata(host):
        raise ToolError(f"`{text}` is refused: `{host}` hands out a cloud's credentials")
    # What a proxy fetches, the proxy resolves: here only the checks are possible, not the pinning.
    proxied = _proxied(url.scheme, host)
    where = await _resolved(host, port, lenient=proxied)
    for address in where:
        _check(text, host, address, wished(host, port))
    request = client.build_request(
        "GET",
        url,
        headers={**headers, "Host": url.netloc.decode().rpartition("@")[2]},
        extensions={"sni_hostname": host},
    )
    return request, [] if proxied else where


def _parsed(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise ToolError(f"`{text}` is no URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ToolError(f"`{text}` is refused: only http:// and https:// addresses are fetched")
    return url


def _joined(url: str, target: str) -> str:
    try:
        return str(httpx.URL(url).join(target))
    except (httpx.InvalidURL, ValueError):
        raise ToolError(f"`{url}` redirects to `{target}`, which is no URL") from None


def _proxied(scheme: str, host: str) -> bool:
    proxies = getproxies()
    return bool(proxies.get(scheme) or proxies.get("all")) and not proxy_bypass(host)


async def _resolved(host: str, port: int, *, lenient: bool) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if lenient:
            return []
        raise ToolError(f"`{host}` has no address: {error}") from None
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _check(url: str, host: str, address: str, wished: bool) -> None:
    kind = reach(address)
    shown = f"`{host}`" if host.strip("[]") == address else f"`{host}` ({address})"
    if kind is Reach.NEVER:
        raise ToolError(f"`{url}` is refused: {shown} is an address that no fetch may reach")
    if kind is Reach.PRIVATE and not wished:
        raise ToolError(
            f"`{url}` is refused: {shown} is inside this machine's network",
            "it is fetched once the user names that address, or with NANOCODE_WEBFETCH_PRIVATE=1",
        )


async def _sent(client: httpx.AsyncClient, request: httpx.Request, where: list[str]) -> httpx.Response:
    """Send to the checked addresses themselves: the name could resolve to another one the next time."""
    named = request.url
    for number, address in enumerate(where[:_ADDRESSES], 1):
        request.url = named.copy_with(host=address)
        try:
            return await client.send(request, stream=True)
        except httpx.ConnectError:
            if number == min(len(where), _ADDRESSES):
                raise
    return await client.send(request, stream=True)


async def _read(response: httpx.Response, url: str, limit: int) -> Download:
    decoder = _Decoder(response.headers.get("content-encoding", ""), limit)
    cut = False
    async for raw in response.aiter_raw():
        decoder.feed(raw)
        if cut := decoder.full:
            break
    mime, charset = _kind(response.headers.get("content-type", ""))
    body = bytes(decoder.body)
    return Download(url, response.status_code, response.reason_phrase, mime or _sniffed(body), charset, body, cut)


class _Decoder:
    """Undoes a content coding with bounded memory, which httpx does not: a kilobyte can hold a gigabyte."""

    def __init__(self, coding: str, limit: int) -> None:
        self.body = bytearray()
        self._limit = limit
        self._inflate = None
        if coding.strip().lower() in ("gzip", "x-gzip", "deflate"):
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
        elif coding.strip().lower() not in ("", "identity"):
            raise ToolError(f"the server answers in the coding `{coding}`, which was not asked for")

    @property
    def full(self) -> bool:
        return len(self.body) >= self._limit

    def feed(self, raw: bytes) -> None:
        room = self._limit - len(self.body)
        if self._inflate is None:
            self.body += raw[:room]
            return
        try:
            self.body += self._inflate.decompress(raw, room)
        except zlib.error as error:
            if self.body:
                return
            raise ToolError(f"the body is not what its coding says: {error}") from None


def _kind(header: str) -> tuple[str, str]:
    mime, _, rest = header.partition(";")
    return mime.strip().lower(), next(_charsets(rest), "")


def _charsets(parameters: str) -> Iterator[str]:
    for each in parameters.split(";"):
        name, _, value = each.partition("=")
        if name.strip().lower() == "charset":
            yield value.strip().strip("\"'")


def _sniffed(body: bytes) -> str:
    start = body[:1000].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "text/html"
    return "application/octet-stream" if b"\0" in start else "text/plain"


def _words(error: Exception) -> str:
    words = str(error) or type(error).__name__
    if "CERTIFICATE" in words.upper():
        return f"{words}; set SSL_CERT_FILE to a file with your authority's certificates"
    if isinstance(error, httpx.ProxyError):
        return f"{words}; check HTTP_PROXY, HTTPS_PROXY and NO_PROXY"
    return words
