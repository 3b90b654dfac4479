"""What a network and a server can do to a run: right retry, words, exit code; no tool twice, no half text kept."""

import json
import socket
from email.utils import formatdate

import pytest
from peer import DONE, Peer, Reply, call, chunk, cut_off, error, reply, sse, text, usage
from program import Done, Program, assert_grammar

GOOD = reply(text("all is well"))
OVERLOADED = error(529, "overloaded")


def answered(done: Done) -> None:
    assert_grammar(done.events)
    assert (done.code, done.events[-1]["text"], done.events[-1]["stopReason"]) == (0, "all is well", "done")


PASSING = {
    "429": error(429, "slow down"),
    "429 with Retry-After in seconds": error(429, "slow down", ("Retry-After", "0")),
    "429 with a date in the past": error(429, "slow down", ("Retry-After", formatdate(0, usegmt=True))),
    "429 with milliseconds": error(429, "slow down", ("retry-after-ms", "5")),
    **{str(status): error(status, "out of order") for status in (408, 409, 425, 500, 502, 503, 504, 520, 524, 529)},
    "reset before headers": Reply(reset_at_once=True),
    "reset in mid text": cut_off(text("half of it"), end="reset"),
    "closed in mid text": cut_off(text("half of it")),
    "closed in mid call": cut_off(call("bash", {"command": "touch ran"})),
    "ended properly but without a finish": Reply((chunk({"content": "half"}),)),
    "error in band": Reply((chunk({"content": "half"}), sse({"error": {"message": "upstream died", "code": 502}}))),
    "error event": Reply((chunk({"content": "half"}), b"event: error\n" + sse({"message": "upstream died"}))),
    "error in the choice": Reply((sse({"choices": [{"error": {"message": "died"}, "delta": {}}]}), DONE)),
    "finish_reason error": reply(text("half"), finish="error"),
    "finish_reason network_error": reply(text("half"), finish="network_error"),
    "a chunk that is not JSON": Reply((chunk({"content": "half"}), sse(b'{"choices": [{'), DONE)),
    "half a character at the cut": Reply((chunk({"content": "ok"}), 'data: {"choices": "é'.encode()[:-1]), end="close"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_passing_fault_is_retried_and_leaves_nothing(nanocode: Program, fault: Reply) -> None:
    with Peer([fault, fault, GOOD]) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "hi")
    answered(done)
    assert len(done.of("retry")) == 2
    assert peer.requests[0].raw == peer.requests[2].raw, "the same request again"
    assert [message["role"] for message in done.events[-1]["messages"]] == ["user", "assistant"]
    assert not (nanocode.cwd / "ran").exists()


def test_a_tool_that_ran_does_not_run_again_when_the_next_request_fails(nanocode: Program) -> None:
    script = [reply(call("bash", {"command": "echo x >> log"})), OVERLOADED, cut_off(text("half")), GOOD]
    with Peer(script) as peer:
        answered(nanocode.at(peer.url).run("--mode", "json", "hi"))
    assert (nanocode.cwd / "log").read_text() == "x\n"


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:9"])
@pytest.mark.parametrize("command", ["go", "doctor", "webfetch", "websearch"])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read_are_named(
    nanocode: Program, content: str | None, command: str, proxy: str
) -> None:
    mine = nanocode.cwd / "mine.pem"
    if content:
        mine.write_text(content)
    nanocode.environ["SSL_CERT_FILE"] = str(mine)
    if proxy:
        nanocode.environ["HTTPS_PROXY"] = proxy
    asked = {
        "webfetch": ["tool", "webfetch", '{"url": "https://93.184.216.34"}'],
        "websearch": ["tool", "websearch", '{"query": "it"}'],
    }
    done = nanocode.at("https://127.0.0.1:9/v1").run(*asked.get(command, [command]))
    said = done.out + done.err
    assert done.code == 1 and "the certificates of SSL_CERT_FILE cannot be read" in said
    assert "hint: set SSL_CERT_FILE" in said


@pytest.mark.parametrize("fault", [OVERLOADED, Reply(reset_at_once=True), cut_off(text("half"))])
def test_after_the_last_try_the_exit_code_is_75_and_the_words_help(nanocode: Program, fault: Reply) -> None:
    with Peer([fault] * 3) as peer:
        done = nanocode.at(peer.url).run("--print", "hi")
    assert (done.code, done.out) == (75, "")
    assert len(peer.requests) == 3 and not peer.unexpected
    failure, *_ = [line for line in done.err.splitlines() if line.startswith("nanocode: ")]
    assert f"POST {peer.url}/chat/completions" in failure or "stream ended" in failure
    assert "half" not in done.err


def test_a_server_that_is_gone_for_good(nanocode: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = nanocode.at(f"http://127.0.0.1:{port}/v1").run("--print", "hi")
    assert done.code == 75
    assert f"127.0.0.1:{port}/v1/chat/completions` failed: nothing listens there" in done.err
    assert "hint: start the server, or check OPENAI_BASE_URL" in done.err


FINAL = {
    "bad request": (error(400, "messages.0 is odd"), "messages.0 is odd", ""),
    "wrong key": (error(401, "bad key sk-test-0123456789"), "answered 401: bad key [key]", "`OPENCODE_API_KEY`"),
    "forbidden": (error(403, "no"), "answered 403", "`OPENCODE_API_KEY`"),
    "quota": (error(429, "You have hit it", type="GoUsageLimitError"), "You have hit it", "limit of the account"),
    "free quota": (error(429, "x", type="FreeUsageLimitError"), "FreeUsageLimitError", "limit of the account"),
    "no credit": (error(402, "insufficient balance"), "insufficient balance", "limit of the account"),
    "asked to wait too long": (error(429, "later", ("Retry-After", "3600")), "later", "3600 s"),
    "too much context": (error(400, "maximum context length is 8192 tokens"), "8192", "larger window"),
    "no such page": (error(404, "nothing here"), "answered 404", "OPENAI_BASE_URL"),
    "a web page": (Reply((b"<html><body><h1>Sign in</h1></body></html>",), plain=True), "Sign in", "OPENAI_BASE_URL"),
    "a redirect": (Reply((), 302, (("Location", "http://elsewhere/"),), plain=True), "redirects", "OPENAI_BASE_URL"),
    "a filter": (reply(text("half"), finish="content_filter"), "content filter", "rephrase"),
    "window exceeded": (reply(text("half"), finish="model_context_window_exceeded"), "window", ""),
}


@pytest.mark.parametrize(("fault", "words", "hint"), FINAL.values(), ids=FINAL)
def test_a_final_refusal_is_not_retried(nanocode: Program, fault: Reply, words: str, hint: str) -> None:
    with Peer([fault]) as peer:
        nanocode.at(peer.url)
        nanocode.environ["OPENCODE_API_KEY"] = "sk-test-0123456789"
        done = nanocode.run("--print", "hi")
    assert (done.code, done.out) == (1, "")
    assert not peer.unexpected and len(peer.requests) == 1
    failure, *hints = done.err.splitlines()
    assert words in failure
    assert not hint or (hints[0].startswith("hint: ") and hint in hints[0])


def test_a_missing_model_names_the_nearest(nanocode: Program) -> None:
    with Peer([error(404, "model `kimi-k2.6` not found")], models=["kimi-k2.7-code", "kimi-k3", "glm-5.3"]) as peer:
        done = nanocode.at(peer.url, "kimi-k2.6").run("--print", "hi")
    assert done.code == 1
    hint = done.err.splitlines()[-1]
    assert hint.startswith("hint: ") and "kimi-k3" in hint and "--model" in hint and "glm" not in hint


@pytest.mark.parametrize("model", ["minimax-m3", "qwen3-coder", "gpt-5.1", "grok-5"])
def test_a_model_of_another_protocol_is_refused_before_any_request(nanocode: Program, model: str) -> None:
    done = nanocode.at("http://opencode.ai/zen/go/v1", model).run("--print", "hi")
    assert done.code == 2 and model in done.err and "hint: " in done.err


def test_a_server_that_refuses_stream_options_is_asked_without(nanocode: Program) -> None:
    script = [error(400, "unknown field: stream_options"), reply(call("bash", {"command": "true"})), GOOD]
    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "hi")
    answered(done)
    assert ["stream_options" in request.body for request in peer.requests] == [True, False, False]
    assert not done.of("retry")


def test_a_stalled_stream_is_cut_and_retried(nanocode: Program) -> None:
    stalled = cut_off(text("half"), end="stall")
    nanocode.environ["NANOCODE_IDLE_SECONDS"] = "0.3"
    with Peer([stalled, GOOD]) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "hi")
    answered(done)
    assert "no byte for 0.3 s" in done.of("retry")[0]["reason"]


def test_silence_after_the_finish_is_not_waited_for(nanocode: Program) -> None:
    whole = reply(text("all is well"))
    no_done = Reply(whole.parts[:-1], end="stall")
    with Peer([no_done]) as peer:
        answered(nanocode.at(peer.url).run("--mode", "json", "hi"))


ENDINGS = {
    "no [DONE]": Reply(GOOD.parts[:-1]),
    "no [DONE], connection closed": Reply(GOOD.parts[:-1], end="close"),
    "no [DONE], connection reset": Reply(GOOD.parts[:-1], end="reset"),
    "usage after the finish": Reply((chunk({"content": "all is well"}, "stop"), usage(), DONE)),
    "[DONE] without a finish": Reply((chunk({"content": "all is well"}), DONE)),
    "no blank line at the end": Reply((chunk({"content": "all is well"}), chunk({}, "stop")[:-2])),
    "plain JSON": Reply(
        (json.dumps({"choices": [{"message": {"content": "all is well"}, "finish_reason": "stop"}]}).encode(),),
        plain=True,
    ),
    "CRLF and comments": Reply(
        tuple(b": keep-alive\r\n\r\n" + part.replace(b"\n", b"\r\n") for part in GOOD.parts if isinstance(part, bytes))
    ),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_odd_but_whole_answers_are_taken(nanocode: Program, ending: Reply) -> None:
    with Peer([ending]) as peer:
        done = nanocode.at(peer.url).run("--mode", "json", "hi")
    answered(done)
    assert not done.of("retry")


def test_an_event_of_64_megabytes_is_refused_in_words_not_in_memory(nanocode: Program) -> None:
    huge = [b'data: {"choices":[{"index":0,"delta":{"content":"', *[b"x" * (1 << 20)] * 70]
    with Peer([Reply(tuple(huge), end="close")]) as peer:
        done = nanocode.at(peer.url).run("--print", "hi")
    assert done.code == 1 and "larger than" in done.err


def test_a_large_event_below_that_is_taken(nanocode: Program) -> None:
    word = "x" * (8 << 20)
    with Peer([reply([chunk({"content": word})])]) as peer:
        done = nanocode.at(peer.url).run("--print", "--quiet", "hi")
    assert (done.code, len(done.out)) == (0, len(word) + 1)


def test_a_proxy_that_is_not_there_is_named(nanocode: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    nanocode.at("http://models.example/v1").environ["HTTP_PROXY"] = f"http://127.0.0.1:{port}"
    done = nanocode.run("--print", "hi")
    assert done.code == 75 and "prox" in done.err.lower()


@pytest.mark.parametrize("url", ["ftp://x/v1", "not a url", "http://", "http://[::1"])
def test_a_base_url_that_is_none_is_said(nanocode: Program, url: str) -> None:
    done = nanocode.at(url).run("--print", "hi")
    assert done.code == 2 and "OPENAI_BASE_URL" in done.err and "Traceback" not in done.err
