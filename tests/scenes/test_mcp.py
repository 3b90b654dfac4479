"""MCP through the whole program: what the model is offered, what waits, what needs trust, the command line."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from peer import Gate, Peer, Request, call, reply, text
from program import Program, assert_grammar, finish, gone

SERVER = Path(__file__).parents[1] / "mcp" / "server.py"


def entry(fault: str = "fine", **more: Any) -> dict[str, Any]:
    return {"command": sys.executable, "args": [str(SERVER), fault], **more}


def configure(nanocode: Program, **servers: dict[str, Any]) -> Path:
    """The user's own file."""
    path = nanocode.home / ".nanocode" / "mcp.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"mcpServers": servers}))
    return path


def project(nanocode: Program, **servers: dict[str, Any]) -> Path:
    path = nanocode.cwd / ".nanocode" / "mcp.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"mcpServers": servers}))
    return path


def offered(request: Request) -> dict[str, Any]:
    return {each["function"]["name"]: each["function"] for each in request.body["tools"]}


def tool(nanocode: Program, name: str, **arguments: Any) -> str:
    return nanocode.run("tool", name, json.dumps(arguments)).out


def servers_left() -> list[int]:
    """The server processes that there are, of any test's making in this folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if str(SERVER) in words:
            found.append(int(folder.name))
    return found


def no_server_left() -> bool:
    """Whether the servers are gone, or go: what was killed may need a moment for it on a busy machine."""
    return gone(servers_left(), 10)


def test_without_servers_the_tools_are_offered_and_say_so(nanocode: Program) -> None:
    with Peer([reply(call("mcp_search", {})), reply(text("ok"))]) as peer:
        nanocode.at(peer.url).run("--print", "go")
    assert {"mcp_search", "mcp_inspect", "mcp_call"} <= set(offered(peer.requests[0]))
    assert peer.requests[1].messages[-1]["content"].startswith("no MCP server is configured\nhint: ")


def test_search_inspect_call_in_one_run(nanocode: Program) -> None:
    configure(nanocode, fine=entry())
    steps = [
        reply(call("mcp_search", {"query": "echo"}, id="c1")),
        reply(call("mcp_inspect", {"tool": "echo"}, id="c2")),
        reply(call("mcp_call", {"server": "fine", "tool": "echo", "arguments": {"text": "grüße"}}, id="c3")),
        reply(text("done")),
    ]
    with Peer(steps) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "go")
    assert done.code == 0 and not done.err
    assert_grammar(done.events)
    found, shown, answer = (each["content"] for each in peer.requests[3].messages if each["role"] == "tool")
    assert found == "fine/echo(text): Say it again." and '"required":["text"]' in shown
    assert answer == '<untrusted source="mcp:fine/echo">\ngrüße\n</untrusted>'
    assert no_server_left()


def test_a_direct_tool_has_the_servers_schema_once_that_is_known(nanocode: Program) -> None:
    configure(nanocode, fine=entry(selectedTools=["echo", "look"]))
    steps = [reply(call("mcp__fine__echo", {"text": "hi"})), reply(text("done"))]
    with Peer(steps * 2) as peer:
        nanocode.at(peer.url).run("--print", "go")
        nanocode.run("--print", "go")
    cold, _, warm, last = peer.requests
    assert offered(cold)["mcp__fine__echo"]["parameters"] == {"type": "object", "properties": {}}
    function = offered(warm)["mcp__fine__echo"]
    assert function["description"] == "Say it again.\nTwice if asked." and "mcp__fine__die" not in offered(warm)
    assert function["parameters"]["required"] == ["text"]
    assert "\nhi\n" in last.messages[-1]["content"]


def test_a_warm_first_request_waits_for_no_server(nanocode: Program) -> None:
    script = nanocode.cwd / "server.py"
    configure(nanocode, fine={"command": sys.executable, "args": [str(script)], "selectedTools": "*"})
    script.write_text(SERVER.read_text())
    tool(nanocode, "mcp_search")
    script.write_text("import time; time.sleep(600)")
    with Peer([reply(text("at once"))]) as peer:
        done = nanocode.at(peer.url).run("--quiet", "go")
    assert done.out == "at once\n" and "mcp__fine__echo" in offered(peer.requests[0])


def test_a_cold_first_request_does_not_wait_for_a_silent_server(nanocode: Program) -> None:
    configure(nanocode, silent=entry("silent"), fine=entry())
    gate = Gate()
    with Peer([reply(text("at once"), gate)]) as peer:
        process = nanocode.at(peer.url).start("--quiet", "go")
        gate.wait_until_reached()
        gate.open()
        assert finish(process).out == "at once\n"
    assert no_server_left()


def test_a_large_result_is_cut_in_the_middle_and_kept(nanocode: Program) -> None:
    configure(nanocode, fine=entry())
    out = tool(nanocode, "mcp_call", server="fine", tool="big")
    assert len(out) < 60_000 and "\nstart xx" in out and "xx end\n" in out
    path = Path(out.split("full result: ")[1].split(" …]")[0])
    assert path.read_text().startswith("start ") and len(path.read_text()) == 200_010
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()


def test_a_failed_tool_fails(nanocode: Program) -> None:
    configure(nanocode, fine=entry())
    done = nanocode.run("tool", "mcp_call", '{"server": "fine", "tool": "fail", "arguments": {"text": "badly"}}')
    assert done.code == 1 and "it went wrong: badly" in done.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_call_leaves_no_server(nanocode: Program, number: int) -> None:
    configure(nanocode, fine=entry(), stubborn=entry("stubborn"))
    with Peer([reply(call("mcp_call", {"server": "fine", "tool": "sleep"}))]) as peer:
        process = nanocode.at(peer.url).start("--mode", "json", "go")
        assert process.stdout is not None
        while b'"tool_start"' not in process.stdout.readline():
            pass
        while not servers_left():
            pass
        os.kill(process.pid, number)
        done = finish(process)
    assert done.code == 128 + number and no_server_left()


def test_kill_leaves_no_server_that_would_live_on(nanocode: Program) -> None:
    configure(nanocode, silent=entry("silent"), stubborn=entry("stubborn"))
    gate = Gate()
    with Peer([reply(text("too late"), gate)]) as peer:
        process = nanocode.at(peer.url).start("--mode", "json", "go")
        gate.wait_until_reached()
        # Two servers, and what one of them started.
        while len(servers_left()) < 3:
            pass
        process.kill()
        assert no_server_left()
        gate.open()
        assert finish(process).code == -signal.SIGKILL


def test_a_projects_servers_need_trust(nanocode: Program) -> None:
    project(nanocode, fine=entry())
    done = nanocode.run("tool", "mcp_search", "{}")
    assert "no MCP server is configured" in done.out and "is not trusted" in done.err and str(SERVER) in done.err
    done = nanocode.run("--trust", "tool", "mcp_search", "{}")
    assert "fine/echo" in done.out and not done.err
    with Peer([reply(text("ok"))]) as peer:
        done = nanocode.at(peer.url).run("--print", "go")
    assert "is not trusted" in done.err and done.out == "ok\n"


def test_what_the_user_adds_to_a_project_is_trusted_until_someone_else_changes_it(nanocode: Program) -> None:
    done = nanocode.run("mcp", "add", "--project", "--env", "A=b", "fine", "--", sys.executable, str(SERVER), "fine")
    assert done.code == 0 and "added `fine`" in done.out
    assert "fine/echo" in tool(nanocode, "mcp_search")
    path = nanocode.cwd / ".nanocode" / "mcp.json"
    assert json.loads(path.read_text()) == {"mcpServers": {"fine": entry(env={"A": "b"})}}
    path.write_text(path.read_text() + "\n")
    assert "no MCP server" in tool(nanocode, "mcp_search")
    nanocode.run("mcp", "add", "--project", "other", "x")
    assert "no MCP server" in tool(nanocode, "mcp_search"), "adding to a file of someone else does not trust it"


def test_servers_are_listed_and_removed_on_the_command_line(nanocode: Program) -> None:
    nanocode.run("mcp", "add", "--header", "X-Key: $env:NO_SUCH", "web", "https://x.example/mcp")
    listed = nanocode.run("mcp", "list").out
    assert "  web: https://x.example/mcp\n" in listed and "`NO_SUCH` is not set" in listed
    assert nanocode.run("mcp", "remove", "web").code == 0
    assert "web" not in nanocode.run("mcp", "list").out


def test_flags_may_follow_an_address(nanocode: Program) -> None:
    done = nanocode.run("mcp", "add", "web", "https://x.example/mcp", "--header", "A: b", "--sse", "--project")
    path = nanocode.cwd / ".nanocode" / "mcp.json"
    assert done.code == 0 and json.loads(path.read_text())["mcpServers"] == {
        "web": {"url": "https://x.example/mcp", "type": "sse", "headers": {"A": "b"}}
    }


def test_a_server_that_is_switched_off_is_listed_as_such(nanocode: Program) -> None:
    configure(nanocode, fine=entry(disabled=True))
    assert f"fine: {sys.executable} {SERVER} fine (disabled)\n" in nanocode.run("mcp", "list").out


def test_mcp_help_is_about_mcp(nanocode: Program) -> None:
    done = nanocode.run("mcp", "--help")
    assert done.code == 0 and done.out.startswith("nanocode mcp list\nnanocode mcp add ")


BAD = [
    (["add", "x", "https://x.example", "more"], "unrecognized arguments: more"),
    (["add", "x"], "a command or an address is missing"),
    (["add", "--env", "nonsense", "x", "y"], "NAME=VALUE"),
    (["remove", "x"], "there is no MCP server `x`"),
    (["remove"], "required: name"),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_wrong_words_exit_2_and_say_the_right_ones(nanocode: Program, words: list[str], said: str) -> None:
    done = nanocode.run("mcp", *words)
    assert done.code == 2 and said in done.err and "hint: " in done.err


def test_a_file_with_comments_is_not_rewritten(nanocode: Program) -> None:
    path = configure(nanocode)
    path.write_text('{"mcpServers": {} // mine\n}')
    done = nanocode.run("mcp", "add", "x", "y")
    assert done.code == 2 and "comments" in done.err and "// mine" in path.read_text()


def test_a_prompt_that_begins_with_the_word_is_a_prompt(nanocode: Program) -> None:
    assert nanocode.run("--demo", "mcp", "what", "is", "it?").code == 0
    assert nanocode.run("mcp servers, what are they?", "--demo").code == 0


def test_an_mcp_tool_may_be_named_before_it_is_known(nanocode: Program) -> None:
    configure(nanocode, fine=entry(selectedTools="*"))
    with Peer([reply(text("ok"))] * 2) as peer:
        nanocode.at(peer.url).run("--print", "--tools", "read,mcp__fine__echo", "go")
        tool(nanocode, "mcp_search")
        nanocode.run("--print", "--tools", "read,mcp__fine__echo", "go")
    assert [set(offered(each)) for each in peer.requests] == [{"read"}, {"read", "mcp__fine__echo"}]


def test_a_projects_system_prompt_needs_trust(nanocode: Program) -> None:
    (nanocode.cwd / ".nanocode").mkdir()
    (nanocode.cwd / ".nanocode" / "SYSTEM.md").write_text("Obey the repository.")
    own = nanocode.home / ".nanocode"
    own.mkdir()
    (own / "SYSTEM.md").write_text("My own words.")
    with Peer([reply(text("ok"))] * 2) as peer:
        done = nanocode.at(peer.url).run("--print", "go")
        nanocode.run("--print", "--trust", "go")
    assert "is not trusted" in done.err
    first, second = (request.messages[0]["content"] for request in peer.requests)
    assert "My own words." in first and "Obey" not in first
    assert "Obey the repository." in second
