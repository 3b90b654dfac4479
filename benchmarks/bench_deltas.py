"""Bytes of a chat stream to its deltas: both twins against decoders that make a dict or an object of each chunk.

Three providers' shapes, each event a token, in reads of one event (how tokens arrive), 1 KB, 16 KB and random sizes.
Run `python benchmarks/bench_deltas.py`, with `--record` to keep the figures under `runs/`; needs the extra `bench`.
"""

import argparse
import json
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from itertools import cycle, islice
from typing import Any

import compare
from bench_sse import WORDS, httpx_sse, openai_sdk, pieces
from openai._models import construct_type
from openai.types.chat import ChatCompletionChunk

from nanocode._ext import deltas as native_deltas
from nanocode._ext import sse as native_sse
from nanocode.hot import deltas as python_deltas
from nanocode.hot import sse as python_sse
from nanocode.jsontext import loads

EVENTS = 2000
Said = tuple[int, str]


def chunk(delta: dict[str, Any], **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    body = {
        "id": "chatcmpl-Bx3kq0Zs9TnV2mWc7RfLdYpJ4hGa",
        "object": "chat.completion.chunk",
        **more,
        "choices": [choice],
    }
    return b"data: " + json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def openai(word: str, place: int) -> bytes:
    about = {"created": 1767225600, "model": "gpt-5.1-2025-11-13", "service_tier": "default"}
    return chunk({"content": word}, **about, system_fingerprint="fp_5f20662549", usage=None)


def openrouter(word: str, place: int) -> bytes:
    about = {"provider": "Fireworks", "model": "z-ai/glm-5.1", "created": 1767225600}
    if place % 8 < 3:
        details = [{"type": "reasoning.text", "text": word, "format": "unknown", "index": 0}]
        return chunk({"role": "assistant", "content": "", "reasoning": word, "reasoning_details": details}, **about)
    return chunk({"role": "assistant", "content": word}, **about)


def kimi(word: str, place: int) -> bytes:
    """Reasoning, an answer, and the arguments of a call, a stretch of each."""
    kinds = (
        {"reasoning_content": word},
        {"content": word},
        {"tool_calls": [{"index": 0, "function": {"arguments": word}}]},
    )
    return chunk(kinds[place // 50 % 3], created=1767225600, model="kimi-k2.6", system_fingerprint="fpv0_10a6da87")


def ours(sse: Any, fuse: Callable[..., list[Any]], chunks: Sequence[bytes]) -> list[Said]:
    feed = sse.SseDecoder().feed
    return [(kind, text) for read in chunks for kind, _, text in fuse(feed(read))]


def dicts(parse: Callable[[Any], Any], chunks: Sequence[bytes]) -> list[Said]:
    """httpx-sse, and a JSON library's dict for each event."""
    return [_said(parse(data)["choices"][0]["delta"]) for data in httpx_sse(chunks)]


def _said(delta: dict[str, Any]) -> Said:
    if calls := delta.get("tool_calls"):
        return python_deltas.ARGUMENTS, calls[0]["function"]["arguments"]
    if thought := delta.get("reasoning_content") or delta.get("reasoning"):
        return python_deltas.REASONING, thought
    return python_deltas.TEXT, delta.get("content") or ""


def objects(chunks: Sequence[bytes]) -> list[Said]:
    """What the SDK's stream does after the socket: its decoder, `json`, and its object for each chunk."""
    values = (construct_type(type_=ChatCompletionChunk, value=json.loads(data)) for data in openai_sdk(chunks))
    return [_of_object(value.choices[0].delta) for value in values]


def _of_object(delta: Any) -> Said:
    if delta.tool_calls:
        return python_deltas.ARGUMENTS, delta.tool_calls[0].function.arguments
    if thought := getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None):
        return python_deltas.REASONING, thought
    return python_deltas.TEXT, delta.content or ""


def joined(said: Sequence[Said]) -> list[str]:
    return ["".join(text for each, text in said if each == kind) for kind in range(3)]


def scattered(stream: bytes) -> Iterator[bytes]:
    chance, at = random.Random(5), 0
    while at < len(stream):
        size = chance.choice((1, 17, 300, 900, 4000, 20_000))
        yield stream[at : at + size]
        at += size


def figures(shape: Callable[[str, int], bytes], rounds: int) -> list[compare.Figure]:
    events = [shape(word, place) for place, word in enumerate(islice(cycle(WORDS), EVENTS))]
    stream = b"".join(events)
    cuts = {
        "event": events,
        "1 KB": pieces(stream, 1 << 10),
        "16 KB": pieces(stream, 16 << 10),
        "random": [*scattered(stream)],
    }
    found = []
    for cut, chunks in cuts.items():
        contenders = {
            "nanocode": partial(ours, native_sse, native_deltas.fuse, chunks),
            "nanocode, Python twin": partial(ours, python_sse, python_deltas.fuse, chunks),
            "httpx-sse, same JSON": partial(dicts, loads, chunks),
            "httpx-sse, json": partial(dicts, json.loads, chunks),
            "openai SDK objects": partial(objects, chunks),
        }
        found += compare.compare(f"{shape.__name__}, {cut}", contenders, size=len(stream), normal=joined, rounds=rounds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="keep the figures under runs/")
    parser.add_argument("--rounds", type=int, default=compare.ROUNDS)
    options = parser.parse_args()
    found = [figure for shape in (openai, openrouter, kimi) for figure in figures(shape, options.rounds)]
    print(compare.table(found))
    if options.record:
        names = ("nanocode", "httpx-sse", "openai", "orjson")
        print(compare.record("deltas", found, {name: version(name) for name in names}))


if __name__ == "__main__":
    main()
