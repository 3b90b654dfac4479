"""Server-sent events: both twins against httpx-sse and the openai SDK, from bytes to the data of each event.

Run `python benchmarks/bench_sse.py`, with `--record` to keep the figures under `runs/`; needs the extra `bench`.
"""

import argparse
import codecs
import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import cycle, islice

import compare
import nanocode._ext.sse as native
from httpx_sse._decoders import SSEDecoder, SSELineDecoder
from openai._streaming import SSEDecoder as OpenaiDecoder

import nanocode.hot.sse as python

EVENTS = 4000
WORDS = (" the", " walk", "er", " reads", " each", " folder", "\n", " once", ",", " größer", " 木", "()", " =")


def chat(text: str) -> bytes:
    """One chunk as OpenAI's servers send it."""
    delta = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    body = {
        "id": "chatcmpl-Bx3kq0Zs9TnV2mWc7RfLdYpJ4hGa",
        "object": "chat.completion.chunk",
        "created": 1767225600,
        "model": "gpt-5.1-2025-11-13",
        "service_tier": "default",
        "system_fingerprint": "fp_5f20662549",
        "choices": [delta],
        "usage": None,
    }
    return b"data: " + json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def named(text: str) -> bytes:
    """One event with a name, as the responses and messages APIs send it."""
    body = {
        "type": "response.output_text.delta",
        "item_id": "msg_68a1f3c2b7d0819e9c4a5b6d7e8f9a0b",
        "output_index": 0,
        "content_index": 0,
        "delta": text,
        "sequence_number": 412,
    }
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return b"event: response.output_text.delta\ndata: " + data + b"\n\n"


def ours(decoder: Callable[[], python.SseDecoder], chunks: Sequence[bytes]) -> list[bytes]:
    feed = decoder().feed
    return [data for chunk in chunks for _, data in feed(chunk)]


def httpx_sse(chunks: Sequence[bytes]) -> list[str]:
    """What `EventSource.iter_sse` does after the socket."""
    text = codecs.getincrementaldecoder("utf-8")(errors="replace")
    lines, decoder = SSELineDecoder(), SSEDecoder()
    events = (decoder.decode(line.rstrip("\n")) for chunk in chunks for line in lines.decode(text.decode(chunk)))
    return [event.data for event in events if event is not None]


def openai_sdk(chunks: Sequence[bytes]) -> list[str]:
    return [event.data for event in OpenaiDecoder().iter_bytes(iter(chunks))]


def as_bytes(payloads: Sequence[str | bytes]) -> list[bytes]:
    return [payload.encode() if isinstance(payload, str) else payload for payload in payloads]


def pieces(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def figures(label: str, event: Callable[[str], bytes], rounds: int) -> list[compare.Figure]:
    events = [event(word) for word in islice(cycle(WORDS), EVENTS)]
    stream = b"".join(events)
    cuts = {"event": events, "1 KB": pieces(stream, 1 << 10), "16 KB": pieces(stream, 16 << 10)}
    found = []
    for cut, chunks in cuts.items():
        contenders = {
            "nanocode": lambda chunks=chunks: ours(native.SseDecoder, chunks),
            "nanocode, Python twin": lambda chunks=chunks: ours(python.SseDecoder, chunks),
            "httpx-sse": lambda chunks=chunks: httpx_sse(chunks),
            "openai SDK": lambda chunks=chunks: openai_sdk(chunks),
        }
        case = f"{label}, reads of one {cut}"
        found += compare.compare(case, contenders, size=len(stream), normal=as_bytes, rounds=rounds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="keep the figures under runs/")
    parser.add_argument("--rounds", type=int, default=compare.ROUNDS)
    options = parser.parse_args()
    found = figures("chat", chat, options.rounds) + figures("named", named, options.rounds)
    print(compare.table(found))
    if options.record:
        names = ("nanocode", "httpx-sse", "openai")
        print(compare.record("sse", found, {name: version(name) for name in names}))


if __name__ == "__main__":
    main()
