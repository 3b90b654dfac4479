"""A run over a small window: it compacts, forgets no rule and no file, and no request is too large or torn."""

import json
from typing import Any

import pytest
from peer import Peer, Reply, Request, call, chunk, error, reply, text, usage
from program import Program, assert_grammar

from nanocode.hot import estimate_tokens

WINDOW = 9000
RULE = "Never touch files below vendor."
SUMMARY = "## Goal\nread all files\n## Rules\n" + RULE


def size(request: Request) -> int:
    """What a strict server would count: every text and the tools, and a template's overhead."""
    said = [json.dumps({**each, "role": ""}, ensure_ascii=False) for each in request.messages]
    return estimate_tokens(json.dumps(request.body.get("tools", []))) + sum(map(estimate_tokens, said))


def assert_sound(messages: list[dict[str, Any]]) -> None:
    """Each call is followed by its answers, and no answer stands without its call."""
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            waiting.remove(message["tool_call_id"])
            continue
        assert not waiting
        waiting = [each["id"] for each in message.get("tool_calls", ())]
    assert not waiting


def is_summary(request: Request) -> bool:
    return "sum up the conversation" in request.messages[0]["content"]


class Server:
    """Lets the agent read file after file, and refuses what a real server of this window would."""

    def __init__(self, turns: int, summaries: list[Reply] | None = None) -> None:
        self.turns, self.turn, self.summaries = turns, 0, summaries
        self.sizes: list[int] = []

    def __call__(self, request: Request) -> Reply:
        assert_sound(request.messages)
        self.sizes.append(size(request))
        if self.sizes[-1] > WINDOW:
            return error(400, f"This model's maximum context length is {WINDOW} tokens.")
        if is_summary(request):
            return self.summaries.pop(0) if self.summaries else counted(text(SUMMARY), self.sizes[-1])
        if self.turn == self.turns:
            return counted(text("all read"), self.sizes[-1])
        self.turn += 1
        return counted(call("read", {"path": f"file{self.turn}.txt"}, id=f"c{self.turn}"), self.sizes[-1])


def counted(parts: list[bytes], sent: int) -> Reply:
    whole = reply(parts)
    return Reply((*whole.parts[:-2], usage(sent, 20), whole.parts[-1]))


def small(nanocode: Program, files: int = 40, lines: int = 120) -> Program:
    (nanocode.cwd / "AGENTS.md").write_text(RULE)
    for number in range(1, files + 1):
        (nanocode.cwd / f"file{number}.txt").write_text(
            "\n".join(f"line {line} of file {number}" for line in range(lines))
        )
    nanocode.environ |= {
        "NANOCODE_CONTEXT_WINDOW_TOKENS": str(WINDOW),
        "NANOCODE_COMPACTION_RESERVE_TOKENS": "2000",
        "NANOCODE_COMPACTION_KEEP_RECENT_TOKENS": "1500",
    }
    return nanocode


def test_a_long_run_over_a_small_window(nanocode: Program) -> None:
    server = Server(turns=30)
    with Peer(server) as peer:
        done = small(nanocode).at(peer.url).run("--mode", "json", "--tools", "read,write", "read all the files")
    assert done.code == 0, done.err
    assert_grammar(done.events)
    compactions = done.of("compaction")
    assert len(compactions) >= 2 and all(each["after"] < each["before"] for each in compactions)
    assert max(server.sizes) < WINDOW
    assert done.events[-1]["text"] == "all read"
    assert [m["role"] for m in done.events[-1]["messages"]].count("tool") == 30, "the run's messages are all told"

    ordinary = [request for request in peer.requests if not is_summary(request)]
    assert all(RULE in request.messages[0]["content"] for request in ordinary), "rules are outside of the history"
    head = ordinary[-1].messages[1]["content"]
    assert "<last-request>\nread all the files\n</last-request>" in head and "## Rules" in head
    listed = head.partition("<files-read>\n")[2].partition("\n</files-read>")[0].split("\n")
    assert listed == [f"file{number}.txt" for number in range(1, len(listed) + 1)] and len(listed) > 20

    asked = [request for request in peer.requests if is_summary(request)]
    assert all("tools" not in request.body and len(request.messages) == 2 for request in asked)
    assert "[earlier summary]" in asked[-1].messages[1]["content"]


def test_the_news_of_a_job_do_not_take_the_place_of_the_users_words(nanocode: Program) -> None:
    server, job = Server(turns=30), {"prompt": "be brief", "background": True}

    def with_a_child(request: Request) -> Reply:
        last = request.messages[-1]
        if last["content"] == "be brief":
            return reply(text("hi from the child"))
        if last["content"] == "read all the files":
            return reply(call("nanocode", job, id="job"))
        # The run then waits for the child, and goes on with its news.
        return reply(text("started")) if last.get("tool_call_id") == "job" else server(request)

    with Peer(with_a_child) as peer:
        done = small(nanocode).at(peer.url).run("--mode", "json", "--tools", "read,nanocode", "read all the files")
    assert done.code == 0, done.err
    news = [each for each in done.events[-1]["messages"] if "hi from the child" in each["text"]]
    assert [each["role"] for each in news] == ["user"]
    heads = [request.messages[1]["content"] for request in peer.requests if len(request.messages) > 2]
    told = [each for each in heads if "<summary>" in each]
    assert told and all("<last-request>\nread all the files\n</last-request>" in each for each in told)


def test_summaries_share_the_opencode_session(nanocode: Program) -> None:
    with Peer(Server(turns=12)) as peer:
        small(nanocode).at("http://opencode.ai/zen/go/v1", "kimi-k2.6")
        nanocode.environ["HTTP_PROXY"] = f"http://127.0.0.1:{peer.port}"
        done = nanocode.run("--print", "--tools", "read", "read all the files")
    assert (done.code, done.out) == (0, "all read\n")
    assert "compacted: " in done.err
    assert any(map(is_summary, peer.requests))
    assert len({request.headers["x-opencode-session"] for request in peer.requests}) == 1


BAD = {
    "empty": reply(text("  ")),
    "cut": reply(text("## Goal\nhalf"), finish="length"),
    "calls a tool": reply(text(SUMMARY), call("read", {"path": "file1.txt"})),
    "longer than what it stands for": reply(text("word " * 20_000)),
    "refused": error(400, "no"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_summary_leaves_the_history_as_it_was(nanocode: Program, bad: Reply) -> None:
    server = Server(turns=8, summaries=[bad])
    with Peer(server) as peer:
        done = small(nanocode).at(peer.url).run("--mode", "json", "--tools", "read", "--max-turns", "6", "read all")
    assert_grammar(done.events)
    assert not done.of("compaction")
    (notice,) = [each["text"] for each in done.of("notice") if "not compacted" in each["text"]]
    assert notice.startswith("the conversation is not compacted: ")
    after = peer.requests[[*map(is_summary, peer.requests)].index(True) + 1].messages
    assert after[1] == {"role": "user", "content": "read all"}
    assert sum(map(is_summary, peer.requests)) == 1, "what failed is not tried at each turn"


def test_a_prompt_that_fills_the_window_by_itself_is_not_compacted_at_each_turn(nanocode: Program) -> None:
    def patient(request: Request) -> Reply:
        if is_summary(request):
            return reply(text(SUMMARY))
        turn = sum(message["role"] == "assistant" for message in request.messages)
        return (
            reply(text("done")) if seen(request) > 7 else reply(call("read", {"path": "file1.txt", "offset": turn + 1}))
        )

    def seen(request: Request) -> int:
        return sum(not is_summary(each) for each in peer.requests)

    small(nanocode, files=1)
    (nanocode.cwd / "AGENTS.md").write_text("a rule of many words\n" * 1400)
    with Peer(patient) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "--tools", "read", "go")
    assert done.code == 0, done.events[-1]
    assert sum(map(is_summary, peer.requests)) == 1


def test_an_overflow_is_compacted_and_tried_once_more(nanocode: Program) -> None:
    # The window that we know of is far larger than the server's.
    small(nanocode).environ["NANOCODE_CONTEXT_WINDOW_TOKENS"] = "100000"
    server = Server(turns=12)
    with Peer(server) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "--tools", "read", "read all the files")
    assert done.code == 0, done.err
    assert_grammar(done.events)
    assert done.of("compaction")
    assert sum(each > WINDOW for each in server.sizes) == 1, "what was learned of the window is kept"


def test_an_overflow_that_stays_is_the_error(nanocode: Program) -> None:
    full = error(400, "This model's maximum context length is 10 tokens.")
    with Peer([full, full]) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "hi")
    assert done.code == 1 and len(peer.requests) == 1
    assert "maximum context length" in done.events[-1]["error"]


def test_compaction_can_be_turned_off(nanocode: Program) -> None:
    small(nanocode).environ["NANOCODE_COMPACTION"] = "0"
    with Peer(Server(turns=12)) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "--tools", "read", "read all the files")
    assert done.code == 1 and not any(map(is_summary, peer.requests))
    assert "maximum context length" in done.events[-1]["error"]


def test_one_result_larger_than_the_window_is_shortened(nanocode: Program) -> None:
    small(nanocode, files=3, lines=1900)
    server = Server(turns=3)
    with Peer(server) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "--tools", "read", "read all the files")
    assert done.code == 0, done.events[-1]
    assert_grammar(done.events)
    assert max(server.sizes) < WINDOW
    assert "characters left out to make room" in json.dumps(peer.requests[-1].body)


def test_a_session_goes_on_from_its_summary(nanocode: Program) -> None:
    with Peer(Server(turns=12)) as peer:
        small(nanocode).at(peer.url).run("--print", "--tools", "read", "read all the files")
        first = [request for request in peer.requests if not is_summary(request)][-1]
    with Peer([reply(text("again"))]) as peer:
        nanocode.at(peer.url).run("--print", "--tools", "read", "--continue", "and now?")
    (request,) = peer.requests
    assert request.messages[1:-2] == first.messages[1:]
    assert request.messages[-1]["content"] == "and now?"


def test_an_interrupt_during_the_summary_keeps_nothing_of_it(nanocode: Program) -> None:
    import signal

    from peer import Gate
    from program import finish

    gate = Gate()
    half = Reply((chunk({"role": "assistant", "content": "## Goal half"}), gate))
    with Peer(Server(turns=12, summaries=[half])) as peer:
        process = small(nanocode).at(peer.url).start("--mode", "json", "--tools", "read", "read all the files")
        gate.wait_until_reached()
        process.send_signal(signal.SIGINT)
        done = finish(process)
        gate.open()
    assert done.code == 130
    assert_grammar(done.events)
    assert "## Goal half" not in json.dumps(done.events[-1]) and not done.of("compaction")


def test_a_warning_for_each_bad_value(nanocode: Program) -> None:
    nanocode.environ |= {"NANOCODE_CONTEXT_WINDOW_TOKENS": "big", "NANOCODE_COMPACTION_REMAINING_RATIO": "half"}
    with Peer([reply(text("ok"))]) as peer:
        done = nanocode.at(peer.url).run("--print", "hi")
    assert (done.code, done.out) == (0, "ok\n")
    assert (
        done.err.count("NANOCODE_CONTEXT_WINDOW_TOKENS") == done.err.count("NANOCODE_COMPACTION_REMAINING_RATIO") == 1
    )
