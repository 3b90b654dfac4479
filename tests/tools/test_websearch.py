"""The websearch tool against saved pages and an endpoint that speaks as Exa does; all on loopback."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from peer import Peer, Reply

from nanocode.agent.toolbox import Answer, Toolbox
from nanocode.messages import Call
from nanocode.settings import Settings
from nanocode.tools.websearch import websearch

PAGES = Path(__file__).parents[1] / "pages"
KEY = "exa-key-0123456789"


def search(peer: Peer, key: str = "", **more: object) -> Answer:
    here, base = Path(__file__).parent, f"http://127.0.0.1:{peer.port}"
    environ = {"EXA_API_KEY": key} if key else {}
    settings = Settings(here, here, environ, exa_url=f"{base}/mcp", duckduckgo_url=f"{base}/html/")
    box = Toolbox([websearch], settings, lambda event: None)
    return asyncio.run(box.call(Call("1", "websearch", json.dumps({"query": "sans io", **more}))))


def html(name: str, status: int = 200) -> Reply:
    return Reply(((PAGES / name).read_bytes(),), status, (("Content-Type", "text/html; charset=utf-8"),), plain=True)


def exa(result: Any, kind: str = "application/json", status: int = 200) -> Reply:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, **result})
    if kind == "text/event-stream":
        body = f"event: message\ndata: {body}\n\n"
    return Reply((body.encode(),), status, (("Content-Type", kind),), plain=True)


FOUND = {"result": {"content": [{"type": "text", "text": "Title: Sans I/O\nURL: https://sans-io.readthedocs.io/"}]}}
BLOCKED = Reply((b'<div class="anomaly-modal__title">Select all ducks</div>',), 200, plain=True)
PUZZLE = Reply((b"<html>a puzzle</html>",), 202, plain=True)


def test_duckduckgo_gives_results_without_advertisements() -> None:
    with Peer([html("duckduckgo.html")]) as peer:
        done = search(peer)
    assert not done.failed
    assert done.text.splitlines() == [
        '<untrusted source="websearch: sans io">',
        "1. Network protocols, sans I/O",
        "https://sans-io.readthedocs.io/",
        "This page describes writing network protocols that perform no I/O & why.",
        "",
        "2. h11: a pure-Python HTTP/1.1 library",
        "https://h11.readthedocs.io/en/latest/",
        "Bring your own I/O.",
        "</untrusted>",
    ]
    (request,) = peer.requests
    assert (request.method, request.path) == ("POST", "/html/")
    assert parse_qs(request.raw.decode())["q"] == ["sans io"]


def test_a_page_of_another_make_is_read_by_its_headings() -> None:
    with Peer([html("duckduckgo-plain.html")]) as peer:
        done = search(peer, numResults=10)
    assert "1. One\nhttps://one.example/\n\n2. Two\nhttps://two.example/?q=1&r=2\n" in done.text
    assert "Settings" not in done.text and "More" not in done.text


@pytest.mark.parametrize("answer", [BLOCKED, PUZZLE], ids=["anomaly", "202"])
def test_blocked_is_not_called_no_results(answer: Reply) -> None:
    with Peer([answer]) as peer:
        done = search(peer)
    assert done.failed and "blocks this machine" in done.text and "EXA_API_KEY" in done.text


def test_no_results_is_said() -> None:
    with Peer([Reply((b"<html><div class='no-results'></div></html>",), plain=True)]) as peer:
        done = search(peer)
    assert not done.failed and "no results" in done.text


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
def test_exa_is_asked_once_it_has_a_key(kind: str) -> None:
    with Peer([exa(FOUND, kind)]) as peer:
        done = search(peer, KEY, numResults=3, type="deep", livecrawl="preferred")
    assert "Title: Sans I/O" in done.text
    (request,) = peer.requests
    assert parse_qs(urlsplit(request.path).query) == {"exaApiKey": [KEY]}
    assert (request.body["method"], request.body["params"]["name"]) == ("tools/call", "web_search_exa")
    wanted = {"query": "sans io", "numResults": 3, "type": "deep", "livecrawl": "preferred"}
    assert request.body["params"]["arguments"] == wanted | {"contextMaxCharacters": 10000}


FAILURES = [
    exa({}, status=500),
    exa({"error": {"code": 1, "message": f"bad key {KEY}"}}),
    exa({"result": {"isError": True, "content": [{"type": "text", "text": f"no credit for {KEY}"}]}}),
    Reply((b"<html>gateway</html>",), plain=True),
    exa({"result": None}),
    Reply(reset_at_once=True),
]


@pytest.mark.parametrize("failure", FAILURES, ids=["500", "error", "isError", "html", "empty", "reset"])
def test_duckduckgo_steps_in_when_exa_fails_and_the_key_is_not_shown(failure: Reply) -> None:
    with Peer([failure, html("duckduckgo.html")]) as peer:
        done = search(peer, KEY)
    assert done.text.startswith("[Exa") and "these are DuckDuckGo's results" in done.text and "h11" in done.text
    assert KEY not in done.text


def test_both_failures_are_named() -> None:
    with Peer([exa({}, status=401), BLOCKED]) as peer:
        done = search(peer, KEY)
    assert done.failed and "HTTP 401" in done.text and "blocks" in done.text and "check EXA_API_KEY" in done.text


def test_a_named_engine_is_the_only_one_asked() -> None:
    with Peer([exa(FOUND)]) as peer:
        assert "Sans I/O" in search(peer, provider="exa").text
    assert "exaApiKey" not in peer.requests[0].path
    with Peer([html("duckduckgo.html")]) as peer:
        assert "h11" in search(peer, KEY, provider="duckduckgo").text


def test_a_long_answer_is_cut() -> None:
    with Peer([exa({"result": {"content": [{"type": "text", "text": "word " * 1000}]}})]) as peer:
        done = search(peer, KEY, contextMaxCharacters=500)
    assert "[cut at contextMaxCharacters=500]" in done.text and len(done.text) < 700
