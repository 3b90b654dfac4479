"""A login at an MCP server on loopback that wants one: who is asked, what is kept, and when nobody can be asked."""

import asyncio
import json
import socket
import stat
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from peer import Peer, Reply, Request

from nanocode.errors import ToolError
from nanocode.mcp.config import Server
from nanocode.mcp.link import Link, Visit

PATIENT = 30.0
ABOUT = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "f", "version": "1"}}
RESULTS: dict[str, Any] = {
    "initialize": ABOUT,
    "tools/list": {"tools": [{"name": "who", "inputSchema": {"type": "object"}}]},
    "tools/call": {"content": [{"type": "text", "text": "it is you"}]},
}


def answer(value: Any, status: int = 200, *headers: tuple[str, str]) -> Reply:
    body = json.dumps(value).encode()
    return Reply((body,), status, (("Content-Type", "application/json"), *headers), plain=True)


def guarded(request: Request) -> Reply:
    """An MCP server and its authorization server in one, which takes the token `good` only."""
    base = f"http://{request.headers['host']}"
    path = urlsplit(request.path).path
    if path.startswith("/.well-known/oauth-protected-resource"):
        return answer({"resource": f"{base}/mcp", "authorization_servers": [base]})
    if path.startswith("/.well-known/"):
        places = {name: f"{base}/{name.partition('_')[0]}" for name in ("authorization_endpoint", "token_endpoint")}
        more = {"issuer": base, "registration_endpoint": f"{base}/register", "response_types_supported": ["code"]}
        return answer(places | more | {"code_challenge_methods_supported": ["S256"]})
    if path == "/register":
        return answer(request.body | {"client_id": "client-1"}, 201)
    if path == "/authorization":
        asked = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        back = f"{asked['redirect_uri']}?code=the-code&state={asked['state']}"
        return Reply((b"",), 302, (("Location", back),), plain=True)
    if path == "/token":
        asked = {name: values[0] for name, values in parse_qs(request.raw.decode()).items()}
        assert asked.get("code") == "the-code" or asked["grant_type"] == "client_credentials"
        return answer({"access_token": "good", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "again"})
    if request.headers.get("authorization") != "Bearer good":
        where = f'Bearer resource_metadata="{base}/.well-known/oauth-protected-resource/mcp"'
        return answer({}, 401, ("WWW-Authenticate", where))
    if request.method != "POST":
        return answer({}, 405)
    method, id = request.body["method"], request.body.get("id")
    if id is None:
        return Reply((b"",), 202, plain=True)
    if method not in RESULTS:
        return answer({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "unknown"}})
    return answer({"jsonrpc": "2.0", "id": id, "result": RESULTS[method]})


def called(peer: Peer, folder: Path, visit: Visit | None, **more: Any) -> str:
    server = Server("guarded", "http", url=f"http://127.0.0.1:{peer.port}/mcp", **more)
    options: dict[str, Any] = {"start_seconds": PATIENT, "call_seconds": PATIENT, "visit": visit}

    async def work() -> str:
        link = Link(server, folder, folder / "nano", lambda: None, **options)
        try:
            return (await link.call("who", {}, lambda text: None)).text
        finally:
            await link.close()

    return asyncio.run(work())


async def agree(url: str) -> None:
    """What a browser does whose user says yes."""
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        assert "logged in" in (await browser.get(url)).text


def test_a_login_is_kept_for_the_next_session(tmp_path: Path) -> None:
    with Peer(guarded) as peer:
        assert called(peer, tmp_path, agree) == "it is you"
        before = len(peer.requests)
        assert called(peer, tmp_path, None) == "it is you", "the second session asks nobody"
        assert all(each.headers["authorization"] == "Bearer good" for each in peer.requests[before:])
    (kept,) = (tmp_path / "nano" / "mcp-logins").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert json.loads(kept.read_text())["tokens"]["access_token"] == "good"


CLIENT = {"clientId": "mine", "clientSecret": "s3cret"}


def test_a_client_that_the_server_knows_does_not_register(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Peer(guarded) as peer:
        assert called(peer, tmp_path, agree, oauth={**CLIENT, "callbackPort": str(port)}) == "it is you"
    asked = {urlsplit(each.path).path: each for each in peer.requests}
    assert "/register" not in asked
    assert asked["/token"].headers["authorization"] == f"Basic {b64encode(b'mine:s3cret').decode()}"
    query = parse_qs(urlsplit(asked["/authorization"].path).query)
    assert query["client_id"] == ["mine"] and query["redirect_uri"] == [f"http://127.0.0.1:{port}/callback"]


def test_a_program_logs_in_without_a_person(tmp_path: Path) -> None:
    with Peer(guarded) as peer:
        machine = {**CLIENT, "grant": "client_credentials", "issuer": f"http://127.0.0.1:{peer.port}", "scope": "read"}
        assert called(peer, tmp_path, None, oauth=machine) == "it is you"
    asked = {urlsplit(each.path).path: each for each in peer.requests}
    assert not {"/register", "/authorization"} & set(asked)


IDENTITY = {**CLIENT, "grant": "identity_assertion", "idToken": "who-i-am", "idClientId": "mine-there"}


def form(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.raw.decode()).items()}


def test_an_identity_provider_speaks_for_its_user(tmp_path: Path) -> None:
    kinds = "urn:ietf:params:oauth:token-type:"

    def script(request: Request) -> Reply:
        if request.path == "/identity":
            return answer({"access_token": "it-is-them", "issued_token_type": f"{kinds}id-jag", "token_type": "N_A"})
        if request.path == "/token":
            assert form(request)["assertion"] == "it-is-them"
            return answer({"access_token": "good", "token_type": "Bearer"})
        return guarded(request)

    with Peer(script) as peer:
        base = f"http://127.0.0.1:{peer.port}"
        known = {**IDENTITY, "issuer": base, "idTokenUrl": f"{base}/identity"}
        assert called(peer, tmp_path, None, oauth=known) == "it is you"
    asked = {urlsplit(each.path).path: each for each in peer.requests}
    assert not {"/register", "/authorization"} & set(asked)
    assert form(asked["/identity"]) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requested_token_type": f"{kinds}id-jag",
        "subject_token_type": f"{kinds}id_token",
        "subject_token": "who-i-am",
        "client_id": "mine-there",
        "audience": base,
        "resource": f"{base}/mcp",
    }
    assert asked["/token"].headers["authorization"] == f"Basic {b64encode(b'mine:s3cret').decode()}"


def test_an_identity_provider_that_refuses_is_quoted(tmp_path: Path) -> None:
    def script(request: Request) -> Reply:
        return answer({"error": "invalid_grant"}, 400) if request.path == "/identity" else guarded(request)

    with Peer(script) as peer:
        base = f"http://127.0.0.1:{peer.port}"
        known = {**IDENTITY, "issuer": base, "idTokenUrl": f"{base}/identity"}
        with pytest.raises(ToolError, match=r"identity provider refused: HTTP 400 .*invalid_grant"):
            called(peer, tmp_path, None, oauth=known)


def test_a_secret_goes_to_no_other_server_than_its_own(tmp_path: Path) -> None:
    machine = {**CLIENT, "grant": "client_credentials", "issuer": "https://login.example"}
    with Peer(guarded) as peer, pytest.raises(ToolError, match="issuer mismatch"):
        called(peer, tmp_path, None, oauth=machine)
    assert "/token" not in {urlsplit(each.path).path for each in peer.requests}


def test_without_a_person_the_way_to_log_in_is_said(tmp_path: Path) -> None:
    with Peer(guarded) as peer, pytest.raises(ToolError, match="it wants a login: `nanocode mcp login guarded`"):
        called(peer, tmp_path, None)


def test_a_key_in_the_configuration_needs_no_login(tmp_path: Path) -> None:
    with Peer(guarded) as peer:
        assert called(peer, tmp_path, None, headers={"Authorization": "Bearer good"}) == "it is you"
        assert {urlsplit(each.path).path for each in peer.requests} == {"/mcp"}


def test_an_answer_that_is_too_long_is_not_taken_in(tmp_path: Path) -> None:
    long = Reply((b" " * (1 << 20),) * 20, 200, (("Content-Type", "application/json"),))

    def script(request: Request) -> Reply:
        return long if b"tools/call" in request.raw else guarded(request)

    with Peer(script) as peer, pytest.raises(ToolError, match="it sent more than 16 MB in one answer"):
        called(peer, tmp_path, None, headers={"Authorization": "Bearer good"})


def test_a_refused_login_is_said(tmp_path: Path) -> None:
    async def refuse(url: str) -> None:
        asked = parse_qs(urlsplit(url).query)
        async with httpx.AsyncClient() as browser:
            await browser.get(f"{asked['redirect_uri'][0]}?error=access_denied&state={asked['state'][0]}")

    with Peer(guarded) as peer, pytest.raises(ToolError, match="the login was refused: access_denied"):
        called(peer, tmp_path, refuse)
