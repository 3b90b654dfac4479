"""Child agents through the real program: waited for, in the background, cancelled, crashed, killed, orphaned."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from peer import Gate, Peer, Reply, Request, call, error, reply, text
from program import PATIENCE, Program, alive, assert_grammar, finish, gone
from tmux import needs_tmux, terminal

Lines = dict[str, list[Reply] | Callable[[Request], Reply]]


def asked(request: Request) -> str:
    """The first thing that the user of this conversation said."""
    return str(next(each["content"] for each in request.messages if each["role"] == "user"))


def casting(**lines: Any) -> Callable[[Request], Reply]:
    """A script by conversation: `boss` is the parent's first word, each child's is the name of its own lines."""

    def script(request: Request) -> Reply:
        mine = lines[asked(request).split()[0]]
        mine = mine if callable(mine) else mine.pop(0)
        return mine(request) if callable(mine) else mine

    return script


def child(id: str = "call_1", index: int = 0, /, **arguments: Any) -> list[bytes]:
    return call("nanocode", arguments, id=id, index=index)


def last(request: Request) -> str:
    return str(request.messages[-1]["content"])


def results(done: Any) -> list[dict[str, Any]]:
    return [event for event in done.of("tool_end") if event["name"] == "nanocode"]


def pids(path: Path, count: int = 1) -> list[int]:
    """The process ids that children have written into a file of their own, as soon as all have."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = path.read_text().split() if path.exists() else []
        if len(found) >= count:
            return [int(each) for each in found]
        os.sched_yield()
    raise AssertionError(f"{count} children never wrote into {path}")


# The shell and the nanocode above it.
MARK = "echo $$ $PPID >> pids; "


def test_a_child_is_waited_for_and_its_answer_comes_back(nanocode: Program) -> None:
    (nanocode.cwd / "sub").mkdir()
    script = casting(
        boss=[
            reply(child(prompt="kid work", cwd="sub", tools="bash", appendSystemPrompt="Be a kid.")),
            reply(text("ok")),
        ],
        kid=[reply(call("bash", {"command": "pwd; env"})), reply(text("kid is done"))],
    )
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "boss")
    assert done.code == 0
    assert_grammar(done.events)
    (result,) = results(done)
    assert result["result"].startswith("kid is done\n[nano-1 done after ") and "200 + 40 tokens" in result["result"]
    kid = peer.requests[1].body
    assert [each["function"]["name"] for each in kid["tools"]] == ["bash"]
    assert "Be a kid." in kid["messages"][0]["content"]
    said = last(peer.requests[2])
    assert str(nanocode.cwd / "sub") in said and "sk-test" not in said and "NANOCODE_DEPTH=1" in said
    assert done.events[-1]["usage"] == {"input": 400, "output": 80, "cached": 0}, "the child's tokens count too"
    states = [(event["id"], event["state"], event["activity"]) for event in done.of("job")]
    assert states[0] == ("nano-1", "running", "") and states[-1] == ("nano-1", "done", "")


def test_the_session_of_a_child_names_its_parents_and_is_not_continued(nanocode: Program) -> None:
    script = casting(
        boss=[reply(child(prompt="kid")), reply(text("ok")), reply(text("again"))], kid=[reply(text("hi"))]
    )
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "boss")
        again = nanocode.run("--mode", "json", "--continue", "more")
    parent = done.events[0]["id"]
    headers = [json.loads(path.read_text().splitlines()[0]) for path in nanocode.home.rglob("*.jsonl")]
    by_title = {header["title"]: header for header in headers}
    assert by_title["kid"]["parent"] == parent and "parent" not in by_title["boss"]
    assert again.events[0]["id"] == parent
    assert by_title["kid"]["id"] in results(done)[0]["result"]


def test_opencode_sees_an_id_of_its_own_for_each_child(nanocode: Program) -> None:
    script = casting(boss=[reply(child(prompt="kid")), reply(text("ok"))], kid=[reply(text("hi"))])
    with Peer(script) as peer:
        nanocode.at("http://opencode.ai/zen/go/v1", "kimi-k2.6")
        nanocode.environ["HTTP_PROXY"] = f"http://127.0.0.1:{peer.port}"
        assert nanocode.run("--print", "boss").code == 0
    boss, kid, boss_again = (request.headers["x-opencode-session"] for request in peer.requests)
    assert boss == boss_again != kid


def test_three_background_jobs_end_while_the_parent_works_and_are_told_once(nanocode: Program) -> None:
    gates = {name: Gate() for name in ("one", "two", "three")}

    def boss(request: Request) -> Reply:
        turn = sum(message["role"] == "assistant" for message in request.messages)
        if turn == 0:
            starts = [child(f"c{n}", n, prompt=name, background=True) for n, name in enumerate(gates)]
            return reply(*starts)
        if turn == 1:
            for gate in gates.values():
                gate.wait_until_reached()
            for gate in gates.values():
                gate.open()
            # All have ended before the next boundary.
            return reply(call("bash", {"command": "until [ $(grep -c . ended) = 3 ]; do :; done"}, id="wait"))
        return reply(text("all told"))

    lines = {
        name: [
            replace(reply(call("bash", {"command": f"echo {name} >> ended"})), held=gate),
            reply(text(f"result of {name}")),
        ]
        for name, gate in gates.items()
    }
    with Peer(casting(boss=boss, **lines)) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "boss")
    assert done.code == 0
    assert_grammar(done.events)
    assert [event["result"].split()[0] for event in results(done)] == ["nano-1", "nano-2", "nano-3"]
    news = [m["text"] for m in done.events[-1]["messages"] if m["role"] == "user" and "Background job" in m["text"]]
    for name in gates:
        assert sum(f"result of {name}" in each for each in news) == 1
    assert done.events[-1]["text"] == "all told"


def test_a_one_shot_run_waits_for_its_background_jobs(nanocode: Program) -> None:
    gate = Gate()
    script = casting(
        boss=[reply(child(prompt="kid", background=True)), reply(text("started")), reply(text("the kid said hi"))],
        kid=[replace(reply(text("hi from kid")), held=gate)],
    )
    with Peer(script) as peer:
        process = nanocode.at(peer.url).start("--print", "boss")
        gate.wait_until_reached()
        gate.open()
        done = finish(process)
    assert (done.code, done.out) == (0, "the kid said hi\n")
    assert "hi from kid" in last(peer.requests[-1])
    assert "… nano-1 done" in done.err


def test_auto_emit_off_tells_nothing_and_waits_for_nothing(nanocode: Program) -> None:
    gate = Gate()
    script = casting(
        boss=[reply(child(prompt="kid", background=True, autoEmit=False)), reply(text("bye"))],
        kid=[replace(reply(text("never told")), held=gate)],
    )
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "boss")
        gate.open()
    assert done.code == 0 and done.events[-1]["text"] == "bye"
    assert "Background job" not in json.dumps(done.events)
    assert "action=read" in results(done)[0]["result"]


def test_list_status_read_and_cancel(nanocode: Program) -> None:
    held, gate = Gate(), Gate()

    def boss(request: Request) -> Reply:
        turn = sum(message["role"] == "assistant" for message in request.messages)
        if turn == 2:
            held.wait_until_reached()
        steps: list[list[list[bytes]]] = [
            [child("a", 0, task="quick"), child("b", 1, action="start", task="slow job")],
            [child("c", 0), child("d", 1, action="read", id="nano-2"), child("e", 2, action="status", id="nano-1")],
            [child("f", 0, action="cancel", jobId="nano-2"), child("g", 1, action="read", jobId="nano-2")],
            [child("h", 0, action="read", jobId="nano-9"), child("i", 1, action="read"), child("j", 2, action="run")],
        ]
        return reply(*steps[turn]) if turn < len(steps) else reply(text("done"))

    script = casting(boss=boss, quick=[reply(text("quick answer"))], slow=[replace(reply(text("never")), held=held)])
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "boss")
        gate.open()
        held.open()
    said = [event["result"] for event in results(done)]
    assert done.code == 0
    assert said[0].startswith("quick answer") and said[1].startswith("nano-2 is started")
    assert said[2].splitlines()[0].startswith("nano-1  done") and said[2].splitlines()[1].startswith("nano-2  running")
    assert said[3].startswith("nano-2 is still running") and said[4].startswith("nano-1  done")
    assert said[5].startswith("nano-2  cancelled") and "[nano-2 cancelled after" in said[6]
    assert "there are: nano-1, nano-2" in said[7] and "needs a `jobId`" in said[8] and "needs a `prompt`" in said[9]
    assert [event["isError"] for event in results(done)] == [False] * 7 + [True] * 3
    assert "Background job" not in json.dumps(done.events), "what was cancelled is not told"


def test_a_timeout_ends_the_child_with_its_commands(nanocode: Program) -> None:
    # The child has to have begun its command by then.
    script = casting(
        boss=[reply(child(prompt="kid", timeoutSeconds=6)), reply(text("ok"))],
        kid=[reply(call("bash", {"command": MARK + "trap '' TERM; sleep 300"}))],
    )
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "boss")
    (result,) = results(done)
    assert result["isError"] and "timed out after" in result["result"] and "longer than 6 s" in result["result"]
    assert gone(pids(nanocode.cwd / "pids", 2), 1)


def test_a_run_is_not_longer_than_ten_minutes(nanocode: Program) -> None:
    script = casting(boss=[reply(child(prompt="kid", timeoutSeconds=601)), reply(text("ok"))])
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "boss")
    assert results(done)[0]["isError"] and "action=start" in results(done)[0]["result"]


def test_a_child_that_fails_says_why(nanocode: Program) -> None:
    script = casting(
        boss=[
            reply(
                child("a", 0, prompt="kid"), child("b", 1, prompt="kid", model="m"), child("c", 2, prompt="k", cwd="no")
            ),
            reply(text("ok")),
        ],
        kid=[error(401, "no such key"), error(404, "no such model")],
    )
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "boss")
    refused, lost, nowhere = results(done)
    assert "[nano-1 failed after" in refused["result"] and "no such key" in refused["result"]
    assert peer.requests[2].body["model"] == "m" and lost["isError"]
    assert nowhere["isError"] and "`no` is no folder" in nowhere["result"]


@pytest.mark.parametrize("whom", ["$PPID", "-$(LD_PRELOAD= ps -o pgid= -p $PPID | tr -d ' ')"], ids=["it", "its group"])
def test_a_child_killed_by_9_is_a_failed_job_its_command_ends_and_the_parent_goes_on(
    nanocode: Program, whom: str
) -> None:
    script = casting(
        boss=[reply(child(prompt="kid")), reply(text("going on"))],
        kid=[reply(call("bash", {"command": MARK + f"kill -9 -- {whom}; sleep 300"}))],
    )
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "boss")
    assert done.code == 0 and done.events[-1]["text"] == "going on"
    assert "killed by SIGKILL" in results(done)[0]["result"] and results(done)[0]["isError"]
    assert done.of("job")[-1]["state"] == "failed"
    assert gone(pids(nanocode.cwd / "pids", 2), 1)


def test_a_child_whose_guard_is_gone_still_runs_commands(nanocode: Program) -> None:
    kill = "for each in $(LD_PRELOAD= pgrep -P $PPID); do [ $each = $$ ] || { kill -9 $each; echo killed; }; done"
    script = casting(
        boss=[reply(child(prompt="kid")), reply(text("ok"))],
        kid=[
            reply(call("bash", {"command": kill})),
            reply(call("bash", {"command": "yes | head -1; cat", "timeout": 30})),
            lambda request: reply(text(" | ".join(str(each["content"]) for each in request.messages[3::2]))),
        ],
    )
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "boss")
    assert results(done)[0]["result"].startswith("killed | y\n")


def test_what_a_child_left_in_the_background_on_purpose_outlives_it(nanocode: Program) -> None:
    script = casting(
        boss=[reply(child(prompt="kid")), reply(text("going on"))],
        kid=[
            reply(call("bash", {"command": "sleep 300 & echo $! >> pids"})),
            reply(call("bash", {"command": "kill -9 $PPID; sleep 300"})),
        ],
    )
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "boss")
    assert "killed by SIGKILL" in results(done)[0]["result"]
    (left,) = pids(nanocode.cwd / "pids")
    assert not gone([left], 0.2)
    os.kill(left, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_when_the_parent_ends_its_children_and_their_commands_do_within_a_second(
    nanocode: Program, number: int
) -> None:
    kid = [reply(call("bash", {"command": MARK + "sleep 300"}))]
    script = casting(
        boss=[reply(child("a", 0, prompt="kid", background=True), child("b", 1, prompt="twin")), reply(text("ok"))],
        kid=kid,
        twin=[reply(call("bash", {"command": MARK + "sleep 300"}))],
    )
    with Peer(script) as peer:
        process = nanocode.at(peer.url).start("--mode", "json", "boss")
        found = pids(nanocode.cwd / "pids", 4)
        assert all(map(alive, found))
        process.send_signal(number)
        # A second is what is promised; a loaded machine may need another.
        assert gone(found, 2)
        done = finish(process)
    assert done.code == (-9 if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert_grammar(done.events)


def test_a_stopped_child_is_killed_too(nanocode: Program) -> None:
    script = casting(
        boss=[reply(child(prompt="kid", timeoutSeconds=2)), reply(text("ok"))],
        kid=[reply(call("bash", {"command": MARK + "kill -STOP $PPID; sleep 300"}))],
    )
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "boss")
    assert "timed out" in results(done)[0]["result"]
    assert gone(pids(nanocode.cwd / "pids", 2), 2)


def test_a_stopped_child_does_not_outlive_its_parent(nanocode: Program) -> None:
    script = casting(
        boss=[reply(child(prompt="kid"))],
        kid=[reply(call("bash", {"command": MARK + "kill -STOP $PPID; sleep 300"}))],
    )
    with Peer(script) as peer:
        process = nanocode.at(peer.url).start("--mode", "json", "boss")
        found = pids(nanocode.cwd / "pids", 2)
        process.kill()
        assert gone(found, 3)
        finish(process)


def test_long_results_are_cut_with_the_call_that_shows_the_rest(nanocode: Program) -> None:
    words = "0123456789" * 4000
    script = casting(
        boss=[
            reply(child(prompt="kid")),
            reply(child("b", 0, action="read", jobId="nano-1", maxCharacters=100_000)),
            reply(text("ok")),
        ],
        kid=[reply(text(words))],
    )
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "boss")
    cut, whole = (event["result"] for event in results(done))
    assert cut.startswith(words[:18000] + "\n[Showing characters 1-18000 of 40000.")
    assert "action=read, jobId=nano-1, maxCharacters=40000" in cut
    assert whole.startswith(words)


def test_children_have_no_children_unless_asked_and_only_so_deep(nanocode: Program) -> None:
    def deeper(request: Request) -> Reply:
        if any(message["role"] == "tool" for message in request.messages):
            return reply(text(last(request)))
        return reply(child(prompt="deep", tools="nanocode"))

    script = casting(
        boss=[reply(child("a", 0, prompt="kid"), child("b", 1, prompt="deep", tools="nanocode")), reply(text("ok"))],
        kid=[reply(text("hi"))],
        deep=deeper,
    )
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "boss")
    kid = next(request for request in peer.requests if asked(request) == "kid")
    names = [each["function"]["name"] for each in kid.body["tools"]]
    assert "bash" in names and "nanocode" not in names
    assert sum(asked(request) == "deep" for request in peer.requests) == 6, "three levels, two requests each"
    assert "children may stand 3 deep" in results(done)[1]["result"]


def test_a_restricted_parent_gives_no_more_than_it_has(nanocode: Program) -> None:
    script = casting(
        boss=[reply(child("a", 0, prompt="kid"), child("b", 1, prompt="kid", tools="bash")), reply(text("ok"))],
        kid=[reply(text("hi"))],
    )
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "--tools", "read,nanocode", "boss")
    assert [each["function"]["name"] for each in peer.requests[1].body["tools"]] == ["read"]
    assert "no tool `bash` to give" in results(done)[1]["result"]


def test_the_tool_alone_needs_no_model_of_its_own(nanocode: Program) -> None:
    done = nanocode.run("--demo", "tool", "nanocode", '{"prompt": "run `echo hi`"}')
    assert done.code == 0 and "hi" in done.out and "[nano-1 done after" in done.out


@needs_tmux
def test_the_terminal_shows_jobs_and_takes_up_their_results_while_it_idles(nanocode: Program) -> None:
    gates = {"one": Gate(), "two": Gate()}
    script = casting(
        boss=[
            reply(*(child(name, n, prompt=name, background=True) for n, name in enumerate([*gates, "three"]))),
            reply(text("they are at work")),
            reply(text("I have heard of the first")),
            reply(text("I have heard of the second")),
        ],
        three=[reply(call("bash", {"command": MARK + "sleep 300"}))],
        **{name: [replace(reply(text(f"result {name}")), held=gate)] for name, gate in gates.items()},
    )
    with Peer(script) as peer, terminal(nanocode.at(peer.url), columns=120, rows=40) as it:
        it.wait_idle()
        it.say("boss")
        it.wait_for("they are at work")
        assert "nano-3  running" in it.wait_for("bash: echo")
        it.type("half a pro")
        for name, words in (("one", "first"), ("two", "second")):
            gates[name].wait_until_reached()
            gates[name].open()
            it.wait_for(f"I have heard of the {words}")
        assert "half a pro" in it.wait_idle(), "what is being typed stays"
        it.keys("C-c")
        it.say("/jobs")
        it.wait_for("nano-2  done")
        it.say("/jobs read nano-2")
        it.wait_for("[nano-2 done after")
        it.say("/jobs cancel nano-3")
        it.wait_for("nano-3  cancelled")
        assert gone(pids(nanocode.cwd / "pids", 2), 2)
        it.say("/q")
        assert it.end() == 0
    told = [str(request.messages[-1]["content"]) for request in peer.requests if asked(request) == "boss"]
    assert "result one" in told[2] and "result two" in told[3] and len(told) == 4
