"""Logins at MCP servers by OAuth: the SDK's flow, its tokens on disk, a browser's way back; knows no terminal."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from nanocode import private
from nanocode.jsontext import dumps, loads
from nanocode.mcp.config import Server

Visit = Callable[[str], Awaitable[None]]
_DONE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nlogged in; you can close this page\n"


class LoginNeeded(RuntimeError):
    """The server wants a person, and this is no place to ask one."""


def provider(server: Server, folder: Path, visit: Visit | None) -> httpx2.Auth:
    """What answers the server's 401: kept tokens, or a login where `visit` can show an address to a person."""
    known = server.oauth
    kept = Kept(folder / f"{sha256(server.url.encode()).hexdigest()[:32]}.json", known)
    if "grant" in known:
        return _machine(server.url, kept, known)
    way_back = _WayBack(kept.port())

    async def shown(url: str) -> None:
        if visit is None:
            raise LoginNeeded(f"it wants a login: `nanocode mcp login {server.name}`")
        await way_back.open()
        await visit(url)

    return OAuthClientProvider(
        server_url=server.url,
        client_metadata=OAuthClientMetadata(
            client_name="nanocode",
            redirect_uris=[AnyUrl(f"http://127.0.0.1:{way_back.port}/callback")],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
            scope=known.get("scope"),
        ),
        client_metadata_url=known.get("clientMetadataUrl"),
        storage=kept,
        redirect_handler=shown,
        callback_handler=way_back.answer,
    )


def _machine(url: str, kept: "Kept", known: Mapping[str, str]) -> httpx2.Auth:
    """The login of a program that is known at the server, which needs no person."""
    client, scope, issuer = known["clientId"], known.get("scope"), known["issuer"]
    if known["grant"] == "identity_assertion":
        secret = known["clientSecret"]
        assertion = partial(_asserted, known)
        return IdentityAssertionOAuthProvider(
            url, kept, client, secret, issuer, assertion, scope, "client_secret_basic"
        )
    if "privateKey" not in known:
        return ClientCredentialsOAuthProvider(url, kept, client, known["clientSecret"], scope=scope, issuer=issuer)
    signed = SignedJWTParameters(
        issuer=client,
        subject=client,
        signing_key=known["privateKey"],
        signing_algorithm=known.get("algorithm", "RS256"),
    )
    return PrivateKeyJWTOAuthProvider(url, kept, client, signed.create_assertion_provider(), scope, issuer)


async def _asserted(known: Mapping[str, str], audience: str, resource: str) -> str:
    """The word of the user's identity provider for one MCP server, in exchange for what it gave at its login.

    RFC 8693, and the Enterprise-Managed Authorization of MCP.
    """
    kinds = "urn:ietf:params:oauth:token-type:"
    asked = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requested_token_type": f"{kinds}id-jag",
        "subject_token_type": f"{kinds}id_token",
        "subject_token": known["idToken"],
        "client_id": known.get("idClientId", known["clientId"]),
    }
    async with httpx2.AsyncClient() as client:
        answer = await client.post(known["idTokenUrl"], data=asked | {"audience": audience, "resource": resource})
    if answer.status_code == httpx2.codes.OK:
        with suppress(ValueError, KeyError, TypeError):
            return str(answer.json()["access_token"])
    raise LoginNeeded(f"the identity provider refused: HTTP {answer.status_code} {answer.text[:200]}")


class Kept:
    """Tokens and registration of one server, in a file that only its owner can read; `known` is what was configured."""

    def __init__(self, path: Path, known: Mapping[str, str]) -> None:
        self._path, self._known = path, known

    def port(self) -> int:
        """The port that the registration names; servers may hold a client to it."""
        saved = int(self._known["callbackPort"]) if "callbackPort" in self._known else self._load().get("port")
        if isinstance(saved, int):
            return saved
        with socket.create_server(("127.0.0.1", 0)) as probe:
            return int(probe.getsockname()[1])

    async def get_tokens(self) -> OAuthToken | None:
        saved = self._load().get("tokens")
        return OAuthToken.model_validate(saved) if saved else None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._save(tokens=tokens.model_dump(mode="json", exclude_none=True))

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        if "clientId" in self._known:
            secret = self._known.get("clientSecret")
            method = "client_secret_basic" if secret else "none"
            return OAuthClientInformationFull(
                client_id=self._known["clientId"], client_secret=secret, token_endpoint_auth_method=method
            )
        saved = self._load().get("client")
        return OAuthClientInformationFull.model_validate(saved) if saved else None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        registered = client_info.model_dump(mode="json", exclude_none=True)
        port = next((urlsplit(str(uri)).port for uri in client_info.redirect_uris or ()), None)
        self._save(client=registered, port=port)

    def _load(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            saved = loads(self._path.read_bytes())
            return saved if isinstance(saved, dict) else {}
        return {}

    def _save(self, **values: Any) -> None:
        private.write(self._path, dumps(self._load() | values))


class _WayBack:
    """Listens on loopback for the browser that comes back from the login."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._found: asyncio.Future[AuthorizationCodeResult] | None = None
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._found = asyncio.get_running_loop().create_future()
        self._server = await asyncio.start_server(self._came, "127.0.0.1", self.port)

    async def answer(self) -> AuthorizationCodeResult:
        assert self._found is not None and self._server is not None
        try:
            return await self._found
        finally:
            self._server.close()

    async def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readline()).decode("latin-1").split()
        asked = parse_qs(urlsplit(line[1]).query) if len(line) > 1 else {}
        first = {name: values[0] for name, values in asked.items()}
        if self._found is not None and not self._found.done() and ("code" in first or "error" in first):
            if "error" in first:
                self._found.set_exception(LoginNeeded(f"the login was refused: {first['error']}"))
            else:
                self._found.set_result(
                    AuthorizationCodeResult(code=first["code"], state=first.get("state"), iss=first.get("iss"))
                )
        writer.write(_DONE)
        with suppress(OSError):
            await writer.drain()
        writer.close()
