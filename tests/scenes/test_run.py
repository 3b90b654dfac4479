"""The main job through the real program: prompt, answer, tools, answer; over a scripted model server."""

import json
import threading
from typing import Any

import pytest
from peer import Peer, Reply, Request, call, chunk, reasoning, reply, text, usage
from program import Program, assert_grammar


def test_the_final_text_goes_to_stdout_and_progress_to_stderr(nanocode: Program) -> None:
    script = [reply(text("let me look"), call("bash", {"command": "echo one; echo two"})), reply(text("it is one"))]
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--print", "what is it?")
    assert (done.code, done.out) == (0, "it is one\n")
    assert done.err == "⏺ let me look\n⏺ bash(command=echo one; echo two)\n⎿ one ... +1 line\n"
    assert not peer.unexpected


def test_the_request_is_what_servers_expect(nanocode: Program) -> None:
    with Peer([reply(text("ok"))]) as peer:
        nanocode.at(peer.url, "opencode-go/my-model").run("--append-system-prompt", "Be brief.", "hi", stdin="piped")
    (request,) = peer.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == "Bearer sk-test-0123456789"
    body = request.body
    assert (body["model"], body["stream"], body["stream_options"]) == ("my-model", True, {"include_usage": True})
    system, user = body["messages"]
    assert system["role"] == "system" and "Be brief." in system["content"] and str(nanocode.cwd) in system["content"]
    assert user == {"role": "user", "content": "hi\n\npiped"}
    assert [each["function"]["name"] for each in body["tools"]][:4] == ["read", "write", "edit", "bash"]


def test_answers_go_back_in_call_order_over_one_connection(nanocode: Program) -> None:
    for name in "abc":
        (nanocode.cwd / name).write_text(name.upper())
    calls = [call("read", {"path": name}, id=f"call_{name}", index=place) for place, name in enumerate("abc")]
    with Peer([reply(*calls), reply(text("done"))]) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "read all")
    assert_grammar(done.events)
    answers = peer.requests[1].messages[-3:]
    assert [(each["tool_call_id"], each["content"]) for each in answers] == [
        (f"call_{name}", f"   1| {name.upper()}") for name in "abc"
    ]
    assert {request.connection for request in peer.requests} == {1}


def test_a_run_as_json_lines_follows_the_grammar(nanocode: Program) -> None:
    script = [
        reply(reasoning("hm, a look"), text("I look"), call("bash", {"command": "echo hi"})),
        reply(text("it says hi", 5)),
    ]
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "look")
    assert_grammar(done.events)
    assert done.events[0] | {"id": ""} == {
        "type": "session",
        "version": done.events[0]["version"],
        "id": "",
        "cwd": str(nanocode.cwd),
        "model": "test-model",
    }
    (start,), (end,) = done.of("tool_start"), done.of("tool_end")
    assert start == {"type": "tool_start", "id": "call_1", "name": "bash", "args": {"command": "echo hi"}}
    assert (end["result"], end["isError"]) == ("hi", False) and isinstance(end["durationMs"], int)
    assert [event["usage"] for event in done.of("usage")] == [{"input": 100, "output": 20, "cached": 0}] * 2
    final = done.events[-1]
    assert (final["text"], final["stopReason"], final["cost"]) == ("it says hi", "done", None)
    assert [message["role"] for message in final["messages"]] == ["user", "assistant", "tool", "assistant"]


def demanding(request: Request) -> Reply:
    """OpenCode Go: no session id, 400; a call without its reasoning, 400."""
    if not request.headers.get("x-opencode-session"):
        return refusal("MissingSessionID")
    for message in request.messages:
        if message.get("tool_calls") and "reasoning_content" not in message:
            return refusal("reasoning_content is missing in assistant tool call message")
    turn = sum(message["role"] == "assistant" for message in request.messages)
    if turn == 3:
        return reply(text("three tools ran"))
    thought = reasoning(f"thought {turn}", name="reasoning" if turn % 2 else "reasoning_content")
    return reply(thought, call("bash", {"command": f"echo {turn}"}, id="functions.bash:0"))


def refusal(words: str) -> Reply:
    return Reply((json.dumps({"error": {"message": words}}).encode(),), 400, plain=True)


def test_opencode_gets_one_session_id_and_its_reasoning_back(nanocode: Program) -> None:
    # The request for opencode.ai reaches the test's server as its proxy, so the real host rule is at work.
    with Peer(demanding) as peer:
        nanocode.at("http://opencode.ai/zen/go/v1", "kimi-k2.6")
        nanocode.environ["HTTP_PROXY"] = f"http://127.0.0.1:{peer.port}"
        done = nanocode.run("--print", "run three tools")
    assert (done.code, done.out) == (0, "three tools ran\n")
    assert len({request.headers["x-opencode-session"] for request in peer.requests}) == 1
    assert len({request.headers["x-opencode-request"] for request in peer.requests}) == 4
    assert peer.requests[0].headers["x-opencode-client"] == "nanocode"
    sent = [message for message in peer.requests[-1].messages if message["role"] == "assistant"]
    assert [message["reasoning_content"] for message in sent] == ["thought 0", "thought 1", "thought 2"]
    ids = [message["tool_calls"][0]["id"] for message in sent]
    assert len(set(ids)) == 3, "ids that a server restarts each turn are made unique"


def test_other_hosts_get_no_opencode_headers(nanocode: Program) -> None:
    with Peer([reply(text("ok"))]) as peer:
        nanocode.at(peer.url).run("hi")
    assert not [name for name in peer.requests[0].headers if name.startswith("x-opencode")]


def test_fifty_turns_of_bash(nanocode: Program) -> None:
    def script(request: Request) -> Reply:
        turn = sum(message["role"] == "tool" for message in request.messages)
        return reply(text("done")) if turn == 50 else reply(call("bash", {"command": f"echo {turn}"}, id=f"c{turn}"))

    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--print", "--quiet", "go")
    assert (done.code, done.out) == (0, "done\n")
    answers = [message["content"] for message in peer.requests[-1].messages if message["role"] == "tool"]
    assert answers == [str(turn) for turn in range(50)]
    assert {request.connection for request in peer.requests} == {1}


def test_a_megabyte_of_arguments_in_four_byte_deltas(nanocode: Program) -> None:
    nanocode.environ["NANOCODE_CONTEXT_WINDOW_TOKENS"] = "10000000"
    content = "".join(f"line {number} «é»\n" for number in range(60_000))
    arguments = json.dumps({"path": "big.txt", "content": content}, ensure_ascii=False)
    pieces = [
        {"tool_calls": [{"index": 0, "function": {"arguments": arguments[at : at + 4]}}]}
        for at in range(0, len(arguments), 4)
    ]
    start = call("write", "", id="w1", pieces=1)[:1]
    batches = [b"".join(map(chunk, pieces[at : at + 500])) for at in range(0, len(pieces), 500)]
    with Peer([reply(start, batches), reply(text("written"))]) as peer:
        done = nanocode.at(peer.url).run("--print", "--quiet", "write it")
    assert (done.code, done.out) == (0, "written\n")
    assert (nanocode.cwd / "big.txt").read_text("utf-8") == content
    sent = peer.requests[1].messages[-2]["tool_calls"][0]["function"]["arguments"]
    assert sent == arguments, "the argument text goes back byte for byte"


def test_twenty_thousand_deltas(nanocode: Program) -> None:
    words = [f"{number:03d} " for number in range(20_000)]
    with Peer([reply([chunk({"content": word}) for word in words])]) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "count")
    assert_grammar(done.events)
    assert done.events[-1]["text"] == "".join(words)


def test_ten_thousand_calls_in_one_message(nanocode: Program) -> None:
    nanocode.environ["NANOCODE_CONTEXT_WINDOW_TOKENS"] = "10000000"
    (nanocode.cwd / "a").write_text("x")
    start = {"type": "function", "function": {"name": "ls", "arguments": "{}"}}
    calls = [
        b"".join(
            chunk({"tool_calls": [{"index": n, "id": f"c{n}", **start}]})
            if n % 2
            else chunk(
                {"tool_calls": [{"index": n, "id": f"c{n}", "function": {"name": "read", "arguments": '{"path":"a"}'}}]}
            )
            for n in range(at, at + 500)
        )
        for at in range(0, 10_000, 500)
    ]
    with Peer([reply(calls), reply(text("all done"))]) as peer:
        done = nanocode.at(peer.url).run("--print", "--quiet", "go")
    assert (done.code, done.out) == (0, "all done\n")
    answers = [message for message in peer.requests[1].messages if message["role"] == "tool"]
    assert [answer["tool_call_id"] for answer in answers] == [f"c{n}" for n in range(10_000)]


def test_the_same_call_five_times_stops_the_run(nanocode: Program) -> None:
    same = [reply(call("bash", {"command": "echo again"}, id=f"c{n}")) for n in range(6)]
    with Peer(same) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "go")
    assert done.code == 3
    assert len(peer.requests) == 5
    assert_grammar(done.events)
    results = [event["result"] for event in done.of("tool_end")]
    assert len(results) == 4, "the fifth is answered but not run"
    answers = [message["text"] for message in done.events[-1]["messages"] if message["role"] == "tool"]
    assert "3 times in a row" in answers[2] and "not run" in answers[4]
    assert done.events[-1]["stopReason"] == "limit"


LIMITS: list[tuple[list[str], Any]] = [
    (["--max-turns", "2"], lambda requests: len(requests) == 2),
    (["--max-cost", "0.0001"], lambda requests: len(requests) == 1),
]


@pytest.mark.parametrize(("flags", "fits"), LIMITS, ids=lambda each: each[0] if isinstance(each, list) else "")
def test_a_limit_ends_the_run_with_3_and_a_valid_history(nanocode: Program, flags: list[str], fits: Any) -> None:
    turns = [reply(call("bash", {"command": f"echo {n}"}, id=f"c{n}")) for n in range(4)]
    with Peer(turns) as peer:
        done = nanocode.at(peer.url, "kimi-k2.6").run("--mode", "json", *flags, "go")
    assert done.code == 3 and fits(peer.requests)
    assert_grammar(done.events)
    assert done.events[-1]["stopReason"] == "limit" and done.events[-1]["error"]


def test_the_time_limit_ends_a_hanging_tool(nanocode: Program) -> None:
    with Peer([reply(call("bash", {"command": "echo begun; sleep 600"}))]) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "--time-limit", "0.5", "go")
    assert done.code == 3
    assert_grammar(done.events)
    assert "time limit" in done.events[-1]["error"]


def test_tools_none_offers_none_and_unknown_calls_are_answered(nanocode: Program) -> None:
    with Peer([reply(call("bash", {"command": "touch x"})), reply(text("ok"))]) as peer:
        done = nanocode.at(peer.url).run("--print", "--tools", "none", "go")
    assert done.code == 0
    assert "tools" not in peer.requests[0].body
    assert "there is no tool `bash`" in peer.requests[1].messages[-1]["content"]
    assert not (nanocode.cwd / "x").exists()


def test_broken_arguments_are_answered_and_never_run(nanocode: Program) -> None:
    broken = call("bash", '{"command": "touch x"', id="b1")
    with Peer([reply(broken, finish="length"), reply(text("ok"))]) as peer:
        done = nanocode.at(peer.url).run("--print", "go")
    assert done.code == 0
    assert "not valid JSON" in peer.requests[1].messages[-1]["content"]
    assert not (nanocode.cwd / "x").exists()


def test_the_keys_do_not_reach_a_command(nanocode: Program) -> None:
    with Peer([reply(call("bash", {"command": "env"})), reply(text("ok"))]) as peer:
        nanocode.at(peer.url).run("--print", "go")
    printed = peer.requests[1].messages[-1]["content"]
    assert "PATH=" in printed and "sk-test" not in printed


def test_concurrent_sessions_do_not_meet(nanocode: Program) -> None:
    with Peer(lambda request: reply(text(request.messages[-1]["content"]), usage())) as peer:
        nanocode.at(peer.url)
        results: dict[str, str] = {}
        threads = [
            threading.Thread(
                target=lambda word: results.__setitem__(word, nanocode.run("--quiet", word).out), args=(word,)
            )
            for word in ("one", "two", "three")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == {word: f"{word}\n" for word in ("one", "two", "three")}
