"""A host and its servers, most of which misbehave: what waits for whom, what is said, and what is left running."""

import asyncio
import json
import os
import resource
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from program import measures_memory

from nanocode.errors import ToolError
from nanocode.mcp.config import Config, Server
from nanocode.mcp.host import Host
from nanocode.settings import Settings
from nanocode.tool import Foreign

SERVER = Path(__file__).with_name("server.py")
# Long enough for a loaded machine, where only the end of it is not under test.
PATIENT = 30.0


def server(fault: str = "fine", **more: Any) -> Server:
    return Server(fault, "stdio", command=sys.executable, args=(str(SERVER), fault), **more)


def host(folder: Path, *servers: Server, start: float = PATIENT, call: float = PATIENT, **more: Any) -> Host:
    settings = Settings(folder, folder, {}, directory=folder / "nano", mcp_start_seconds=start, mcp_call_seconds=call)
    return Host(Config({each.name: each for each in servers}), settings, **more)


def run(made: Host, work: Callable[[Host], Awaitable[Any]]) -> Any:
    """What `work` gives with the started host, closed afterwards; no process may be left."""

    async def inside() -> Any:
        made.start()
        try:
            return await work(made)
        finally:
            await made.close()

    found = asyncio.run(inside())
    assert not list(running(made)), "a server was left running"
    return found


def running(made: Host) -> Iterator[int]:
    """The server processes that there are of this host."""
    marks = [each.server.args for each in made.links.values()]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if str(SERVER) in words and any(words[1:-1] == list(mark) for mark in marks):
            yield int(folder.name)


def call(
    tool: str, arguments: dict[str, Any] | None = None, name: str = "fine"
) -> Callable[[Host], Awaitable[Foreign]]:
    return lambda made: made.call(name, tool, arguments or {}, lambda text: None)


def text(made: Host, tool: str, arguments: dict[str, Any] | None = None) -> str:
    answer: Foreign = run(made, call(tool, arguments))
    return answer.text


def test_a_tool_is_found_inspected_and_called(tmp_path: Path) -> None:
    async def work(made: Host) -> None:
        assert (await made.search("echo", 30, False)).splitlines()[0] == "fine/echo(text): Say it again."
        shown = await made.inspect("", "echo", False)
        assert shown.startswith("fine/echo\nSay it again.\nTwice if asked.\n{") and '"required":["text"]' in shown
        assert "read-only" in await made.inspect("fine", "look", False)
        assert await call("echo", {"text": "grüße 日本"})(made) == Foreign("grüße 日本")
        assert await call("fail", {"text": "badly"})(made) == Foreign("it went wrong: badly", failed=True)
        assert await call("look")(made) == Foreign('{"seen": 1}'), "structured content that repeats the text"

    run(host(tmp_path, server()), work)


def test_arguments_arrive_as_they_are_but_for_half_a_character(tmp_path: Path) -> None:
    assert text(host(tmp_path, server()), "echo", {"text": "a\u2028\0😀\ud800", "n": 2**70}) == "a\u2028\0😀\ufffd"


def test_every_kind_of_content_is_named(tmp_path: Path) -> None:
    answer = run(host(tmp_path, server()), call("rich"))
    assert answer.text.splitlines() == [
        "grüße 日本",
        "[image: image/png, 6 bytes]",
        "[audio: audio/wav, 6 bytes]",
        "[resource file:///a.txt]",
        "inside",
        "[resource file:///b: x/y, 6 bytes]",
        "[resource_link: file:///c.txt c]",
        '{"other":true}',
    ]
    assert [(each.mime, each.data) for each in answer.images] == [("image/png", "aGFsbG8=")]


def test_a_server_gets_a_safe_environment_and_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    (tmp_path / "sub").mkdir()
    place = json.loads(text(host(tmp_path, server(env={"MINE": "1"}, cwd="sub")), "place"))
    assert place["cwd"] == str(tmp_path / "sub") and place["env"]["MINE"] == "1"
    assert "OPENAI_API_KEY" not in place["env"] and place["env"]["PATH"] == os.environ["PATH"]


def test_the_workspace_is_the_root_and_questions_are_declined_without_a_person(tmp_path: Path) -> None:
    assert json.loads(text(host(tmp_path, server()), "roots")) == {
        "roots": [{"uri": tmp_path.as_uri(), "name": tmp_path.name}]
    }
    assert json.loads(text(host(tmp_path, server()), "ask")) == {"action": "decline"}


def test_a_person_answers_and_the_call_waits_for_it(tmp_path: Path) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    async def ask(message: str, schema: dict[str, Any]) -> dict[str, Any]:
        asked.append((message, schema))
        await asyncio.sleep(1.2)  # longer than the call may be silent
        return {"name": "Ada"}

    answer = text(host(tmp_path, server(), call=1.0, ask=ask), "ask")
    assert json.loads(answer) == {"action": "accept", "content": {"name": "Ada"}}
    assert asked[0][0] == "who?" and "name" in asked[0][1]["properties"]


def test_progress_is_shown_and_puts_the_timeout_off(tmp_path: Path) -> None:
    shown: list[str] = []
    made = host(tmp_path, server(), call=0.6)
    answer = run(made, lambda made: made.call("fine", "work", {}, shown.append))
    assert answer.text == "worked" and shown == [f"progress: {step}/4\n" for step in (1, 2, 3, 4)]


def test_a_call_without_an_answer_ends_and_the_server_goes_on(tmp_path: Path) -> None:
    async def work(made: Host) -> None:
        with pytest.raises(ToolError, match=r"no answer to `sleep` for 0\.5 s"):
            await call("sleep")(made)
        assert (await call("echo", {"text": "still here"})(made)).text == "still here"

    run(host(tmp_path, server(), call=0.5), work)


def test_a_cancelled_call_is_over_at_once(tmp_path: Path) -> None:
    async def work(made: Host) -> None:
        await made.search("", 1, False)
        task = asyncio.ensure_future(call("sleep")(made))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await call("echo", {"text": "next"})(made)).text == "next"

    run(host(tmp_path, server()), work)


def test_a_server_that_dies_in_a_call_says_its_last_words_and_comes_back(tmp_path: Path) -> None:
    async def work(made: Host) -> None:
        with pytest.raises(ToolError, match=r"(?s)`fine`: it ended while `die` ran.*a last sigh"):
            await call("die")(made)
        assert (await call("echo", {"text": "again"})(made)).text == "again"

    run(host(tmp_path, server()), work)


def test_a_server_that_was_killed_between_calls_is_started_again(tmp_path: Path) -> None:
    async def work(made: Host) -> None:
        first = json.loads((await call("place")(made)).text)["pid"]
        os.kill(first, 9)
        while made.links["fine"].state == "ready":
            await asyncio.sleep(0.01)
        assert json.loads((await call("place")(made)).text)["pid"] != first

    run(host(tmp_path, server()), work)


def test_bad_servers_are_named_with_their_last_words_and_the_good_ones_work(tmp_path: Path) -> None:
    async def work(made: Host) -> None:
        found = await made.search("echo", 30, False)
        assert "fine/echo(text): Say it again." in found and "junk/echo" in found
        assert "[MCP server `silent`: it did not answer within 1.5 s\nits last words: waiting for a licence]" in found
        assert "[MCP server `dead`: Connection closed\nits last words: config file\nnot found]" in found
        with pytest.raises(ToolError, match=r"did not answer within 1\.5 s"):
            await call("echo", {"text": "x"}, "silent")(made)
        assert (await call("echo", {"text": "x"}, "junk")(made)).text == "x"
        status = made.status()
        assert "silent: failed, tools unknown" in status and "fine: ready, 14 tools" in status

    run(host(tmp_path, *map(server, ("silent", "dead", "junk", "fine")), start=1.5), work)
    assert (tmp_path / "nano/logs/mcp/dead.log").read_text() == "config file\nnot found\n"


def test_junk_on_stdout_is_shown_when_nothing_else_came(tmp_path: Path) -> None:
    junk = Server("chatty", "stdio", command="sh", args=("-c", "echo Welcome to my server; sleep 60"))

    async def work(made: Host) -> None:
        assert "\nnot MCP on its stdout: Welcome to my server]" in await made.search("", 30, False)

    run(host(tmp_path, junk, start=1.0), work)


@measures_memory
def test_a_line_without_an_end_ends_the_server_and_no_memory_is_lost_on_it(tmp_path: Path) -> None:
    async def work(made: Host) -> None:
        said = await made.search("", 30, False)
        assert "[MCP server `endless`: it wrote more than 16 MB to its stdout without a newline]" in said
        with pytest.raises(ToolError, match=r"(?s)`fine`: it ended while `endless` ran, .*: it wrote more than 16 MB"):
            await call("endless")(made)
        assert (await call("echo", {"text": "again"})(made)).text == "again"

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(host(tmp_path, server(), server("endless")), work)
    # In kB: twice the limit is read ahead, and copied once.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_a_line_of_some_megabytes_is_a_line(tmp_path: Path) -> None:
    assert len(text(host(tmp_path, server()), "huge")) == 12 << 20


def test_a_command_that_does_not_exist_is_said(tmp_path: Path) -> None:
    missing = Server("missing", "stdio", command="no-such-command-anywhere")

    async def work(made: Host) -> None:
        assert "no-such-command-anywhere" in await made.search("", 30, False)

    run(host(tmp_path, missing), work)


def test_the_next_session_knows_the_tools_without_starting_a_server(tmp_path: Path) -> None:
    text(host(tmp_path, server()), "look")
    changes: list[int] = []

    async def work(made: Host) -> None:
        assert made.links["fine"].state == "idle"
        assert "fine/echo" in await made.search("", 30, False)
        assert made.links["fine"].state == "idle"
        await made.search("", 30, True)
        assert made.links["fine"].state == "ready"

    run(host(tmp_path, server(), changed=lambda: changes.append(1)), work)
    assert not changes, "the server has the tools that it had"


def test_a_changed_list_is_read_again_and_kept(tmp_path: Path) -> None:
    async def work(made: Host) -> None:
        await made.search("", 1, False)
        heard.clear()
        await call("grow")(made)
        await heard.wait()
        assert (await made.inspect("fine", "grown", False)).startswith("fine/grown")

    heard = asyncio.Event()
    run(host(tmp_path, server(), changed=heard.set), work)
    assert "grown" in host(tmp_path, server()).links["fine"].inventory.__repr__()


def test_what_the_user_left_out_is_neither_shown_nor_called(tmp_path: Path) -> None:
    async def work(made: Host) -> None:
        found = await made.search("", 30, False)
        assert "fine/echo" in found and "die" not in found
        with pytest.raises(ToolError, match="leaves `die` out"):
            await call("die")(made)

    run(host(tmp_path, server(refused=("die",))), work)


def test_wrong_names_are_answered_with_near_ones(tmp_path: Path) -> None:
    async def work(made: Host) -> None:
        with pytest.raises(ToolError, match="there is no tool `ecko`; nearest: echo"):
            await call("ecko")(made)
        with pytest.raises(ToolError, match="there is no MCP server `fin`; the servers are: fine"):
            await call("echo", {}, "fin")(made)

    run(host(tmp_path, server()), work)


def test_a_tool_of_two_servers_needs_the_server(tmp_path: Path) -> None:
    async def work(made: Host) -> None:
        with pytest.raises(ToolError, match="several servers have `echo`: fine, junk"):
            await made.inspect("", "echo", False)
        assert (await made.inspect("", "junk/echo", False)).startswith("junk/echo")

    run(host(tmp_path, server(), server("junk")), work)


def test_selected_tools_are_there_before_their_schemas(tmp_path: Path) -> None:
    made = host(tmp_path, server(selected=("echo",)), server("junk", selected=("*",)))
    assert [(name, entry.schema["properties"]) for name, _, entry in made.selected()] == [("mcp__fine__echo", {})]

    async def work(made: Host) -> None:
        await made.search("", 1, False)

    run(made, work)
    chosen = {name: entry for name, _, entry in made.selected()}
    assert chosen["mcp__fine__echo"].schema["required"] == ["text"]
    assert chosen["mcp__junk__look"].reads and len(chosen) == 15
