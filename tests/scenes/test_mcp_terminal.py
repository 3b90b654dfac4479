"""MCP in a real terminal: `/mcp`, trust, and a server that asks the user."""

import json
import sys
from pathlib import Path

from peer import Peer, call, reply, text
from program import Program
from tmux import needs_tmux, terminal

SERVER = Path(__file__).parents[1] / "mcp" / "server.py"
pytestmark = needs_tmux


def configure(folder: Path, **servers: str) -> None:
    """A file in this folder's `.nanocode`, with servers of these faults."""
    (folder / ".nanocode").mkdir(exist_ok=True)
    entries = {name: {"command": sys.executable, "args": [str(SERVER), fault]} for name, fault in servers.items()}
    (folder / ".nanocode" / "mcp.json").write_text(json.dumps({"mcpServers": entries}))


def test_servers_are_shown_searched_trusted_and_reloaded(nanocode: Program) -> None:
    configure(nanocode.home, fine="fine")
    configure(nanocode.cwd, theirs="junk")
    with terminal(nanocode, "--demo", columns=200) as it:
        it.wait_for("is not trusted")
        it.wait_idle()
        it.say("/mcp search echo")
        it.wait_for("fine/echo(text): Say it again.")
        it.say("/mcp status")
        it.wait_for("fine: ready, 14 tools")
        it.say("/trust")
        it.wait_for("Let these files start programs")
        it.keys("2")
        it.keys("Enter")
        it.wait_for("theirs: starting")
        it.say("/mcp search theirs look")
        it.wait_for("theirs/look(): A look")
        it.say("/trust")
        it.wait_for("nothing here waits for your trust")
        it.say("/mcp restart")
        it.wait_for("`/mcp restart` is unknown")
        it.say("/q")
        assert it.end() == 0


def test_reload_asks_also_a_server_that_comes_back_from_an_earlier_session(nanocode: Program) -> None:
    configure(nanocode.home, fine="fine")
    assert "fine/echo" in nanocode.run("tool", "mcp_search", "{}").out
    (cache,) = (nanocode.home / ".nanocode/cache/mcp").glob("*.json")
    cache.write_text(cache.read_text().replace('"echo"', '"outdated"'))
    assert "fine/outdated" in nanocode.run("tool", "mcp_search", "{}").out
    mine = nanocode.home / ".nanocode/mcp.json"
    written = mine.read_text()
    mine.unlink()
    with terminal(nanocode, "--demo", columns=200) as it:
        it.wait_idle()
        it.say("/mcp status")
        it.wait_for("no MCP server is configured")
        mine.write_text(written)
        it.say("/mcp reload")
        it.wait_for("fine: starting")
        it.say("/mcp search echo")
        it.wait_for("fine/echo(text): Say it again.")
        assert "outdated" not in it.everything()


def test_a_server_asks_and_the_user_answers_in_the_editor(nanocode: Program, tmp_path: Path) -> None:
    configure(nanocode.home, fine="fine")
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf \'{"name": "Ada"}\' > "$1"\n')
    editor.chmod(0o755)
    nanocode.environ["EDITOR"] = str(editor)
    steps = [reply(call("mcp_call", {"server": "fine", "tool": "ask"})), reply(text("so it was Ada"))]
    with Peer(steps) as peer, terminal(nanocode.at(peer.url), columns=120) as it:
        it.wait_idle()
        it.say("ask me")
        it.wait_for("an MCP server asks: who?")
        it.wait_for("Answer it?")
        it.keys("2")
        it.keys("Enter")
        it.wait_for("so it was Ada")
        assert '{"action": "accept", "content": {"name": "Ada"}}' in peer.requests[1].messages[-1]["content"]
