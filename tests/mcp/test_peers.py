"""The servers that people really use, and the conformance runner; `MCP_PEERS` names a folder to keep them in.

What is missing there is installed from npm and PyPI; where those are not reachable, its tests are skipped.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from peer import Peer as Web
from peer import Reply, Request
from program import Program

from nanocode.mcp.config import Config, Server
from nanocode.mcp.host import Host
from nanocode.settings import Settings
from nanocode.tool import Foreign

PEERS = Path(os.environ.get("MCP_PEERS", "/nowhere"))
NPM, PYTHON = PEERS / "node_modules", PEERS / "venv" / "bin"
pytestmark = pytest.mark.skipif("MCP_PEERS" not in os.environ, reason="set MCP_PEERS to a folder for the servers")
PACKAGES = ["server-everything", "server-filesystem", "server-memory", "conformance"]
DRIVER = Path(__file__).with_name("driver.py")


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    """Fill the folder, once; what fails here is skipped where it is needed."""
    if not NPM.is_dir():
        # The runner needs a newer node than many systems have.
        names = [*(f"@modelcontextprotocol/{name}" for name in PACKAGES), "node@22"]
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", PEERS, *names], check=False)
    if not PYTHON.is_dir():
        subprocess.run([sys.executable, "-m", "venv", PEERS / "venv"], check=False)
        names = [f"mcp-server-{name}" for name in ("fetch", "git", "time")]
        subprocess.run([PYTHON / "pip", "install", "-q", *names], check=False)


def server(name: str, *arguments: str, **more: Any) -> Server:
    where = PYTHON if (PYTHON / f"mcp-server-{name}").exists() else NPM / ".bin"
    command = where / f"mcp-server-{name}"
    if not command.exists():
        pytest.skip(f"{command} is not installed")
    return Server(name, "stdio", command=str(command), args=arguments, **more)


def run(folder: Path, configured: Server, work: Callable[["Peer"], Awaitable[None]]) -> None:
    settings = Settings(folder, folder, {}, directory=folder / "nano", mcp_start_seconds=60, mcp_call_seconds=30)
    host = Host(Config({configured.name: configured}), settings)

    async def inside() -> None:
        try:
            await work(Peer(host, configured.name))
        finally:
            await host.close()

    asyncio.run(inside())


class Peer:
    """One server and what it showed while it worked."""

    def __init__(self, host: Host, name: str) -> None:
        self.host, self.name = host, name
        self.shown: list[str] = []

    async def tools(self) -> str:
        return await self.host.search("", 99, False)

    async def call(self, tool: str, **arguments: Any) -> Foreign:
        return await self.host.call(self.name, tool, arguments, self.shown.append)


async def everything(peer: Peer) -> None:
    assert f"{peer.name}/echo(message): " in await peer.tools()
    assert (await peer.call("echo", message="grüße 日本")).text == "Echo: grüße 日本"
    assert '"required":["a","b"]' in await peer.host.inspect("", "get-sum", False)
    wrong = await peer.call("get-sum", a="x")
    assert wrong.failed and "expected number" in wrong.text
    assert (await peer.call("trigger-long-running-operation", duration=0.4, steps=4)).text.startswith("Long running")
    assert peer.shown[:3] == ["progress: 1/4\n", "progress: 2/4\n", "progress: 3/4\n"]
    picture = await peer.call("get-tiny-image")
    assert "[image: image/png, " in picture.text and picture.images[0].mime == "image/png"
    assert json.loads((await peer.call("get-structured-content", location="Chicago")).text)["conditions"]
    assert "demo://resource/" in (await peer.call("get-resource-reference")).text
    assert "file://" in (await peer.call("get-roots-list")).text
    assert "declined" in (await peer.call("trigger-elicitation-request")).text
    assert "declined" in (await peer.call("trigger-url-elicitation", url="https://x.example/")).text
    links = await peer.call("get-resource-links", count=2)
    assert "[resource_link: demo://resource/dynamic/blob/1 Blob Resource 1]" in links.text
    packed = await peer.call("gzip-file-as-resource", name="a.gz", data="data:text/plain,aaaa", outputType="resource")
    assert packed.text.startswith("[resource demo://resource/session/a.gz: application/gzip, ")
    noted = await peer.call("get-annotated-message", messageType="error", includeImage=True)
    assert noted.text.startswith("Error: Operation failed\n[image: ") and len(noted.images) == 1


def test_everything_on_stdio(tmp_path: Path) -> None:
    run(tmp_path, server("everything"), everything)


@contextmanager
def listening(kind: str) -> Iterator[tuple[int, Callable[[], None]]]:
    """server-everything over HTTP: its port, and a way to restart it."""
    command = server("everything").command
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        for old in processes:
            old.kill()
            old.wait()
        environ = {"PATH": os.environ["PATH"], "PORT": str(port)}
        processes.append(subprocess.Popen([command, kind], env=environ, stderr=subprocess.PIPE))
        source = processes[-1].stderr
        assert source is not None
        while b"port" not in source.readline():
            pass

    start()
    try:
        yield port, start
    finally:
        for each in processes:
            each.kill()
            each.wait()
            assert each.stderr is not None
            each.stderr.close()


@pytest.mark.parametrize(("kind", "path"), [("streamableHttp", "mcp"), ("sse", "sse")])
def test_everything_over_http(tmp_path: Path, kind: str, path: str) -> None:
    with listening(kind) as (port, _):
        run(tmp_path, Server("web", "", url=f"http://127.0.0.1:{port}/{path}"), everything)


def test_a_restarted_http_server_is_connected_again(tmp_path: Path) -> None:
    with listening("streamableHttp") as (port, restart):

        async def work(peer: Peer) -> None:
            for word in ("one", "two", "three"):
                assert (await peer.call("echo", message=word)).text == f"Echo: {word}"
                restart()

        run(tmp_path, Server("web", "http", url=f"http://127.0.0.1:{port}/mcp"), work)


def test_filesystem(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("grüße 日本")

    async def work(peer: Peer) -> None:
        assert "filesystem/read_text_file(path, " in await peer.tools()
        assert (await peer.call("read_text_file", path=str(tmp_path / "a.txt"))).text == "grüße 日本"
        refused = await peer.call("read_text_file", path="/etc/passwd")
        assert refused.failed and "outside allowed" in refused.text
        assert "[the server marks it as read-only]" in await peer.host.inspect("", "read_text_file", False)
        words = "grüße 日本\n" * 50_000
        await peer.call("write_file", path=str(tmp_path / "ü.txt"), content=words)
        assert (tmp_path / "ü.txt").read_text() == words
        assert (await peer.call("read_text_file", path=str(tmp_path / "ü.txt"))).text == words

    run(tmp_path, server("filesystem", str(tmp_path)), work)


def test_a_large_file_through_the_whole_program(tmp_path: Path) -> None:
    nanocode = Program(tmp_path)
    peer = server("filesystem", str(nanocode.cwd))
    entry = {"command": peer.command, "args": list(peer.args), "startTimeoutMs": 60_000}
    (nanocode.home / ".nanocode").mkdir()
    (nanocode.home / ".nanocode" / "mcp.json").write_text(json.dumps({"mcpServers": {"files": entry}}))
    (nanocode.cwd / "big.txt").write_text("start " + "日本" * 100_000 + " end")
    asked = {"path": str(nanocode.cwd / "big.txt")}
    done = nanocode.run(
        "tool", "mcp_call", json.dumps({"server": "files", "tool": "read_text_file", "arguments": asked})
    )
    assert done.code == 0 and "\nstart 日本" in done.out and "日本 end\n" in done.out and len(done.out) < 60_000
    kept = Path(done.out.split("full result: ")[1].split(" …]")[0])
    assert kept.read_text() == (nanocode.cwd / "big.txt").read_text()
    kept.unlink()


def test_memory(tmp_path: Path) -> None:
    async def work(peer: Peer) -> None:
        ada = {"name": "Ada", "entityType": "person", "observations": ["grüße"]}
        await peer.call("create_entities", entities=[ada])
        assert json.loads((await peer.call("read_graph")).text)["entities"] == [ada]
        assert json.loads((await peer.call("search_nodes", query="grüße")).text)["entities"] == [ada]
        wrong = await peer.call("add_observations", observations=[{"entityName": "Bob", "contents": ["x"]}])
        assert wrong.failed and "Bob" in wrong.text
        assert '"required":["entities"]' in await peer.host.inspect("", "create_entities", False)

    run(tmp_path, server("memory", env={"MEMORY_FILE_PATH": str(tmp_path / "m.json")}), work)


def test_git(tmp_path: Path) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    for words in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "the first"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)

    async def work(peer: Peer) -> None:
        place = str(tmp_path)
        assert "the first" in (await peer.call("git_log", repo_path=place)).text
        (tmp_path / "a.txt").write_text("grüße 日本\n")
        await peer.call("git_add", repo_path=place, files=["a.txt"])
        assert "+grüße 日本" in (await peer.call("git_diff_staged", repo_path=place)).text
        wrong = await peer.call("git_show", repo_path=place, revision="nope")
        assert wrong.failed and "nope" in wrong.text

    run(tmp_path, server("git"), work)


def test_time(tmp_path: Path) -> None:
    async def work(peer: Peer) -> None:
        assert "Asia/Tokyo" in (await peer.call("get_current_time", timezone="Asia/Tokyo")).text
        asked = {"source_timezone": "Asia/Kolkata", "time": "16:30", "target_timezone": "Asia/Tokyo"}
        assert json.loads((await peer.call("convert_time", **asked)).text)["time_difference"] == "+3.5h"
        assert (await peer.call("get_current_time", timezone="No/Where")).failed

    run(tmp_path, server("time"), work)


def page(request: Request) -> Reply:
    found = request.path == "/a"
    body = "<html><body><h1>Grüße</h1><p>日本 und mehr davon</p></body></html>".encode()
    return Reply((body,), 200 if found else 404, (("Content-Type", "text/html; charset=utf-8"),))


def test_fetch(tmp_path: Path) -> None:
    with Web(page) as web:

        async def work(peer: Peer) -> None:
            place = f"http://127.0.0.1:{web.port}"
            assert "日本 und mehr davon" in (await peer.call("fetch", url=f"{place}/a", raw=True)).text
            missing = await peer.call("fetch", url=f"{place}/b")
            assert missing.failed and "404" in missing.text

        run(tmp_path, server("fetch", "--allow-private-ips", "--ignore-robots-txt"), work)


SCENARIOS = """initialize tools_call elicitation-sep1034-client-defaults sse-retry auth/metadata-default
auth/metadata-var1 auth/metadata-var2 auth/metadata-var3 auth/scope-from-www-authenticate
auth/scope-from-scopes-supported auth/scope-omitted-when-undefined auth/scope-step-up auth/scope-retry-limit
auth/token-endpoint-auth-basic auth/token-endpoint-auth-post auth/token-endpoint-auth-none
auth/2025-03-26-oauth-endpoint-fallback auth/resource-mismatch auth/offline-access-scope
auth/offline-access-not-supported auth/basic-cimd auth/pre-registration auth/client-credentials-basic
auth/client-credentials-jwt auth/cross-app-access-complete-flow"""


@pytest.mark.parametrize("scenario", SCENARIOS.split())
def test_conformance(tmp_path: Path, scenario: str) -> None:
    runner = NPM / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
    if not runner.exists():
        pytest.skip(f"{runner} is not installed")
    done = subprocess.run(
        [
            *(NPM / ".bin" / "node", runner, "client", "--scenario", scenario, "--timeout", "100000"),
            *("--command", f"{sys.executable} {DRIVER}"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
