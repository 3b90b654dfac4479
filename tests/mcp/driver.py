"""A client without a head for the conformance runner: calls every tool of the server at the URL it is given.

`conformance client --command "python tests/mcp/driver.py" --scenario NAME`
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from nanocode.errors import ToolError
from nanocode.mcp.config import Server
from nanocode.mcp.link import Link
from nanocode.ui.servers import blank


async def answered(message: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The form as it stands, which is what a person leaves who only says yes."""
    return blank(schema)


async def visited(url: str) -> None:
    """Log in as a browser does whose user agrees to everything."""
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        await browser.get(url)


def filled(schema: dict[str, Any]) -> dict[str, Any]:
    values = {"number": 5, "integer": 3, "string": "word", "boolean": True}
    return {name: values.get(each.get("type"), {}) for name, each in schema.get("properties", {}).items()}


async def known(url: str) -> dict[str, str]:
    """What a user would have configured for the scenario, from what the runner says of it."""
    about = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    scenario = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
    names = {"clientId": "client_id", "clientSecret": "client_secret"}
    names |= {"privateKey": "private_key_pem", "algorithm": "signing_algorithm"}
    names |= {"idToken": "idp_id_token", "idTokenUrl": "idp_token_endpoint", "idClientId": "idp_client_id"}
    login = {name: about.get(theirs) for name, theirs in names.items()}
    if scenario == "auth/basic-cimd":
        login["clientMetadataUrl"] = "https://conformance-test.local/client-metadata.json"
    if scenario.startswith("auth/client-credentials") or scenario == "auth/cross-app-access-complete-flow":
        async with httpx.AsyncClient() as client:
            about = await client.get(url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp"))
        grant = "identity_assertion" if login["idToken"] else "client_credentials"
        login |= {"grant": grant, "issuer": about.json()["authorization_servers"][0]}
    return {name: value for name, value in login.items() if value}


async def main(url: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        options: dict[str, Any] = {"start_seconds": 25.0, "call_seconds": 25.0, "ask": answered, "visit": visited}
        link = Link(Server("peer", "http", url=url, oauth=await known(url)), here, here, lambda: None, **options)
        try:
            await link.refreshed()
            assert link.inventory is not None
            for tool in link.inventory.tools:
                await link.call(tool.name, filled(dict(tool.schema)), lambda text: None)
        except ToolError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        finally:
            await link.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[-1])))
