"""The connections to a model server: kept, dropped, slowed and cut, over real sockets and TLS."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from peer import Gate, Peer, Reply

from nanocode.http import httpx
from nanocode.provider.transport import transport

BIG = 32 << 20
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


def client(keep: float = 60.0, **more: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=transport(keep), timeout=httpx.Timeout(30.0, **more))  # type: ignore[arg-type]


def run(script: object, talk: Callable[[httpx.AsyncClient, Peer], Awaitable[None]], keep: float = 60.0) -> Peer:
    async def main() -> None:
        async with client(keep) as http:
            await talk(http, peer)

    with Peer(script) as peer:  # type: ignore[arg-type]
        asyncio.run(main())
    return peer


def test_a_connection_is_kept_for_the_next_request() -> None:
    async def talk(http: httpx.AsyncClient, peer: Peer) -> None:
        for word in ("a", "b", "c"):
            answer = await http.post(peer.url, content=word)
            assert (answer.status_code, answer.text, answer.http_version) == (200, word, "HTTP/1.1")

    peer = run(lambda request: Reply((request.raw,)), talk)
    assert [each.connection for each in peer.requests] == [1, 1, 1]
    assert peer.requests[0].headers["host"] == f"127.0.0.1:{peer.port}"


def test_two_at_a_time_have_a_connection_each() -> None:
    gate = Gate()

    async def talk(http: httpx.AsyncClient, peer: Peer) -> None:
        first = asyncio.create_task(http.post(peer.url, content="first"))
        await asyncio.to_thread(gate.wait_until_reached)
        assert (await http.post(peer.url, content="second")).text == "second"
        gate.open()
        assert (await first).text == "first"

    def script(request: object) -> Reply:
        raw = request.raw  # type: ignore[attr-defined]
        return Reply((raw,), held=gate if raw == b"first" else None)

    assert {each.connection for each in run(script, talk).requests} == {1, 2}


def test_one_that_the_server_says_it_closes_is_not_used_again() -> None:
    async def talk(http: httpx.AsyncClient, peer: Peer) -> None:
        for _ in range(3):
            assert (await http.get(peer.url + "/x")).text == "x"

    said = Reply((b"x",), headers=(("Connection", "close"),))
    assert [each.connection for each in run(lambda request: said, talk).requests] == [1, 2, 3]


def test_one_that_the_server_has_closed_is_not_used_again() -> None:
    """The end is there before the next request, but nobody has looked at the socket since."""
    connections, closed = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        writer.close()
        await writer.wait_closed()
        closed.set()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, client() as http:
            for number in (1, 2, 3):
                assert (await http.get(f"http://127.0.0.1:{port}/")).text == "x"
                await closed.wait()
                closed.clear()
                assert connections == number

    asyncio.run(main())


def test_one_that_rested_too_long_is_not_used_again() -> None:
    async def talk(http: httpx.AsyncClient, peer: Peer) -> None:
        for _ in range(2):
            assert (await http.get(peer.url + "/x")).text == "x"

    assert [each.connection for each in run(lambda request: Reply((b"x",)), talk, keep=0.0).requests] == [1, 2]


def test_an_answer_that_was_left_takes_its_connection_along() -> None:
    gate = Gate()

    async def talk(http: httpx.AsyncClient, peer: Peer) -> None:
        async with http.stream("POST", peer.url, content="long") as answer:
            assert await anext(aiter(answer.aiter_bytes())) == b"begun"
        assert (await http.post(peer.url, content="short")).text == "short"
        gate.open()

    def script(request: object) -> Reply:
        raw = request.raw  # type: ignore[attr-defined]
        return Reply((b"begun", gate, b"more")) if raw == b"long" else Reply((raw,))

    assert [each.connection for each in run(script, talk).requests] == [1, 2]


def test_a_cancelled_wait_takes_its_connection_along() -> None:
    gate = Gate()

    async def talk(http: httpx.AsyncClient, peer: Peer) -> None:
        waiting = asyncio.create_task(http.post(peer.url, content="long"))
        await asyncio.to_thread(gate.wait_until_reached)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await http.post(peer.url, content="short")).text == "short"
        gate.open()

    def script(request: object) -> Reply:
        raw = request.raw  # type: ignore[attr-defined]
        return Reply((raw,), held=gate if raw == b"long" else None)

    assert [each.connection for each in run(script, talk).requests] == [1, 2]


def test_a_reader_that_is_slow_slows_the_server_down() -> None:
    """What has come and is not taken stays small, whatever the server would send."""
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
        for _ in range(BIG >> 16):
            writer.write(bytes(1 << 16))
            await writer.drain()
            sent += 1 << 16
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, client() as http, http.stream("GET", f"http://127.0.0.1:{port}/") as answer:
            body = aiter(answer.aiter_raw())
            got = len(await anext(body))
            before = -1
            # Each round lets both sides do what they can; the server comes to a halt.
            while before != sent:
                before = sent
                for _ in range(200):
                    await asyncio.sleep(0)
            assert sent < BIG // 2
            async for data in body:
                got += len(data)
            assert got == BIG

    asyncio.run(main())


def test_a_large_request_arrives_whole() -> None:
    async def talk(http: httpx.AsyncClient, peer: Peer) -> None:
        assert (await http.post(peer.url, content=b"x" * BIG)).text == str(BIG)

    run(lambda request: Reply((str(len(request.raw)).encode(),)), talk)


def test_a_refusal_before_the_whole_request_was_read_is_heard() -> None:
    heard = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too large\r\nContent-Length: 2\r\n\r\nno")
        await heard.wait()
        writer.transport.abort()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 12)
        port = server.sockets[0].getsockname()[1]
        async with server, client() as http:
            answer = await http.post(f"http://127.0.0.1:{port}/", content=b"x" * BIG)
            assert (answer.status_code, answer.text) == (413, "no")
            heard.set()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(reset_at_once=True), httpx.ReadError, "reset"),
        (Reply((b"x",), end="close"), httpx.RemoteProtocolError, "incomplete chunked read"),
        (
            Reply((b"x",), headers=(("Content-Length", "9"),), end="close", plain=True),
            httpx.RemoteProtocolError,
            "Length",
        ),
        (Reply((b"x",), end="reset"), httpx.ReadError, "reset"),
    ],
)
def test_a_cut_answer_is_an_error(reply: Reply, kind: type[Exception], words: str) -> None:
    async def talk(http: httpx.AsyncClient, peer: Peer) -> None:
        with pytest.raises(kind, match=words):
            await http.post(peer.url, content="x")

    run(lambda request: reply, talk)


def test_silence_is_an_error_at_its_time() -> None:
    async def talk(http: httpx.AsyncClient, peer: Peer) -> None:
        with pytest.raises(httpx.ReadTimeout):
            await http.post(peer.url, content="x", timeout=httpx.Timeout(30, read=0.05))

    run([Reply((b"x",), end="stall")], talk)


def test_nobody_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    async def main() -> None:
        async with client() as http:
            with pytest.raises(httpx.ConnectError):
                await http.get(f"http://127.0.0.1:{port}/")
            with pytest.raises(httpx.UnsupportedProtocol):
                await http.get("ftp://127.0.0.1/")
            with pytest.raises(httpx.LocalProtocolError):
                await http.get(f"http://127.0.0.1:{port}/", headers={"X": "a\r\nY: b"})

    asyncio.run(main())


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_is_left_to_httpx(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert transport(60.0) is None


def certificate(folder: Path, host: str) -> Path:
    """A certificate of its own authority for a host, and its key, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{host}.pem"
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


@asynccontextmanager
async def over_tls(pem: Path) -> AsyncIterator[str]:
    """The URL of a server that answers each request with the number of its connection."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            while await reader.readline():
                while (await reader.readline()).strip():
                    pass
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % connections)
        finally:
            # From 3.13 on, one that nobody closed warns.
            writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


def test_https_is_verified_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = certificate(tmp_path, "127.0.0.1")

    async def main() -> None:
        async with over_tls(pem) as url:
            async with client() as http:
                with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                    await http.get(url)
            monkeypatch.setenv("SSL_CERT_FILE", str(pem))
            async with client() as http:
                assert [(await http.get(url)).text for _ in range(3)] == ["1", "1", "1"]

    asyncio.run(main())


def test_a_certificate_for_another_host_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = certificate(tmp_path, "127.0.0.2")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))

    async def main() -> None:
        async with over_tls(pem) as url, client() as http:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await http.get(url)

    asyncio.run(main())


def test_plain_bytes_where_tls_was_expected_are_an_error() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 this is plain http\r\n\r\n")
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, client() as http:
            with pytest.raises(httpx.ConnectError):
                await http.get(f"https://127.0.0.1:{port}/")

    asyncio.run(main())
