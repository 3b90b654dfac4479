"""`nanocode doctor`: what it finds on a good installation and on broken ones."""

import json
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from peer import Peer
from program import Program
from tmux import needs_tmux, terminal


class Refusing(BaseHTTPRequestHandler):
    """Refuses the key for the list of models, which `Peer` always gives."""

    def do_GET(self) -> None:
        body = json.dumps({"error": {"message": f"bad key {self.headers['Authorization'].split()[1]}"}}).encode()
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


SERVER = Path(__file__).parents[1] / "mcp" / "server.py"


@pytest.fixture
def nanocode(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program(tmp_path_factory.mktemp("doctor"), {"TERM": "xterm-256color", "COLUMNS": "80"})


def states(out: str) -> dict[str, str]:
    return {line[6:15].strip(): line[:4].strip() for line in out.splitlines() if not line.startswith("      ")}


def test_a_good_installation(nanocode: Program) -> None:
    with Peer([], models=["test-model", "other"]) as peer:
        done = nanocode.at(peer.url).run("doctor")
    assert (done.code, done.err) == (0, "")
    assert states(done.out) == dict.fromkeys(
        ["core", "libraries", "folder", "bash", "git", "terminal", "key", "endpoint"], "ok"
    )
    assert "from `OPENAI_API_KEY`, for 127.0.0.1" in done.out and "sk-test" not in done.out
    assert "lists 2 models, `test-model` among them" in done.out


@needs_tmux
def test_a_terminal_gets_whole_words(nanocode: Program) -> None:
    with terminal(nanocode, "doctor") as it:
        assert it.end() == 1
        assert "`nanocode --demo`, which\n" + " " * 16 + "needs none" in it.everything()


def test_without_a_key(nanocode: Program) -> None:
    done = nanocode.run("doctor")
    assert done.code == 1 and states(done.out)["key"] == "bad"
    assert "hint: set OPENCODE_API_KEY" in done.out


def test_a_server_that_is_not_there(nanocode: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    done = nanocode.at(url).run("doctor")
    assert done.code == 1 and states(done.out)["endpoint"] == "bad"
    assert f"`GET {url}/models` failed: nothing listens there" in done.out
    assert "hint: start the server, or check OPENAI_BASE_URL" in done.out


def test_a_local_server_without_a_key(nanocode: Program) -> None:
    nanocode.environ["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
    assert "hint: set OPENAI_API_KEY (any word, if the server asks for none)" in nanocode.run("doctor").out


def test_a_key_that_the_server_refuses(nanocode: Program) -> None:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        done = nanocode.at(f"http://127.0.0.1:{server.server_port}/v1").run("doctor")
    assert done.code == 1 and "/models` answered 401: bad key [key]" in done.out
    assert "hint: the key came from `OPENAI_API_KEY`" in done.out


def test_a_model_that_the_server_does_not_list(nanocode: Program) -> None:
    with Peer([], models=["kimi-k3"]) as peer:
        done = nanocode.at(peer.url, "kimi-k2").run("doctor")
    assert done.code == 0 and states(done.out)["endpoint"] == "note"
    assert "nearest: kimi-k3" in done.out


def test_what_works_less_well_is_noted(nanocode: Program) -> None:
    nanocode.environ |= {"PATH": "/nonexistent", "TERM": "dumb", "NANOCODE_NO_SUCH": "1"}
    done = nanocode.run("--demo", "doctor")
    assert done.code == 0
    found = states(done.out)
    assert [found[name] for name in ("bash", "git", "terminal", "settings", "model")] == ["note"] * 4 + ["ok"]


def test_a_setting_that_cannot_be_read_comes_with_what_to_do(nanocode: Program) -> None:
    (nanocode.home / ".nanocode").mkdir()
    (nanocode.home / ".nanocode" / "settings.json").write_text('{"tries": [3]}')
    done = nanocode.run("--demo", "doctor")
    assert done.code == 0
    assert "`[3]` is not a whole number; using 3\n                hint: correct it" in done.out


def test_mcp_servers_are_started_once_side_by_side(nanocode: Program) -> None:
    entries: dict[str, dict[str, Any]] = {
        fault: {"command": sys.executable, "args": [str(SERVER), fault]} for fault in ("fine", "dead", "silent")
    }
    entries["silent"]["startTimeoutMs"] = 1000
    entries["gone"] = {"command": "no-such-server", "colour": "red"}
    entries["web"] = {"url": "http://127.0.0.1:9/mcp"}
    folder = nanocode.home / ".nanocode"
    folder.mkdir()
    (folder / "mcp.json").write_text(json.dumps({"mcpServers": entries}))
    done = nanocode.run("--demo", "doctor")
    assert done.code == 1
    found = [line for line in done.out.replace("\n                hint: ", " -> ").splitlines() if " mcp " in line]
    for line, (state, words, fix) in zip(
        found,
        [
            ("note", "unknown key `colour` of MCP server `gone`", "correct it in `mcp.json`"),
            ("ok", "`fine` offers 14 tools", ""),
            ("bad", "MCP server `dead`: Connection closed; its last words: config file; not found", "dead.log"),
            ("bad", "MCP server `silent`: it did not answer within 1 s", "fetch once by hand"),
            ("bad", "MCP server `gone`: `no-such-server`: No such file", "install `no-such-server`"),
            ("bad", "MCP server `web`: All connection attempts failed", "its `url`"),
        ],
        strict=True,
    ):
        assert line.startswith(state) and words in line and fix in line.partition(" -> ")[2]


def test_a_projects_servers_that_nobody_trusts_are_not_started(nanocode: Program) -> None:
    (nanocode.cwd / ".nanocode").mkdir()
    (nanocode.cwd / ".nanocode" / "mcp.json").write_text(
        '{"mcpServers": {"a": {"command": "touch", "args": ["made"]}}}'
    )
    done = nanocode.run("--demo", "doctor")
    assert done.code == 0 and states(done.out)["mcp"] == "note" and "is not trusted" in done.out
    assert "hint: `/trust` shows and accepts it" in done.out
    assert not (nanocode.cwd / "made").exists()
