"""Feeds both twins of a hot path what atheris comes up with, until they differ; no test, but the source of some.

    python tests/fuzz.py sse|deltas|tokens|edits [-max_total_time=60] [more options of libFuzzer] [corpus folder]

Needs the extra `fuzz`. The Python twin is instrumented: it is its branches that atheris looks for ways into. Into the
corpus folder go the first inputs of a pair that has some. A difference ends the run with the input that made it, in a
file; it then becomes a test in `tests/hot/`.
"""

import os
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import atheris

with atheris.instrument_imports(include=["nanocode.hot"]):
    from nanocode.hot import deltas, edits, sse, tokens

from nanocode._ext import deltas as native_deltas
from nanocode._ext import edits as native_edits
from nanocode._ext import sse as native_sse
from nanocode._ext import tokens as native_tokens
from nanocode.errors import NanocodeError


def outcome(run: Callable[..., Any], *arguments: Any) -> Any:
    """What it gives, or what it raises; only what is meant to be raised is caught."""
    try:
        return run(*arguments)
    except (NanocodeError, TypeError, ValueError) as error:
        return type(error), str(error), getattr(error, "reason", None)


def events(twin: Any, provider: Any) -> list[Any]:
    """All that a decoder says of a stream, cut into reads of any size."""
    decoder = twin.SseDecoder(provider.ConsumeIntInRange(1, 4096))
    said = []
    while provider.remaining_bytes():
        read = provider.ConsumeBytes(provider.ConsumeIntInRange(0, 64))
        said += [outcome(decoder.feed, read), decoder.last_event_id, decoder.retry]
        if provider.ConsumeIntInRange(0, 63) == 0:
            said.append(decoder.finish())
    return [*said, decoder.finish(), decoder.last_event_id, decoder.retry]


def fuzz_sse(data: bytes) -> None:
    python, native = (events(twin, atheris.FuzzedDataProvider(data)) for twin in (sse, native_sse))
    assert python == native, (python, native)


def meaning(items: list[Any]) -> list[Any]:
    """Pieces and frames as the reference reads them, neighbours joined: a twin may pass on a frame as it is."""
    said: list[Any] = []
    for item in items:
        for each in [item] if len(item) == 3 else deltas.fuse([item]):
            if len(each) == 3 and said and len(said[-1]) == 3 and said[-1][:2] == each[:2]:
                each = (*each[:2], said.pop()[2] + each[2])
            said.append(each)
    return said


# A control byte from the first on stands for one of these: the JSON library is not instrumented, so that atheris would
# not find the way to a chunk by itself, and a chunk whose bytes are changed is rarely one.
FRAGMENTS = (
    b'{"id":"c","choices":[{"index":0,"delta":{',
    b'},"finish_reason":null}]}',
    b'"content":"',
    b'"reasoning":"',
    b'"reasoning_content":"',
    b'"reasoning_details":[{"type":"reasoning.text","text":"',
    b'"tool_calls":[{"index":',
    b'"function":{"arguments":"',
    b'"role":"assistant"',
    b'"usage":null',
    b'"refusal":null',
    b'"name":',
    b'"error":',
    b'"choices":',
    b"\\ud83d\\ude00",
    b'{"a":[1.5e3,true,{}]}',
    b'","',
    b"\n\n",
)
FIRST = 0x0E


def expanded(data: bytes) -> bytes:
    return re.sub(rb"[\x0e-\x1f]", lambda found: FRAGMENTS[found[0][0] - FIRST], data)


def shortened(data: bytes) -> bytes:
    for place, fragment in enumerate(FRAGMENTS):
        data = data.replace(fragment, bytes([FIRST + place]))
    return data


def chunk(delta: bytes, more: bytes = b"") -> bytes:
    return FRAGMENTS[0] + delta + FRAGMENTS[1][:-1] + more + b"}"


# What OpenAI, OpenRouter and Kimi send, each twice: a chunk like an earlier one takes a way of its own.
STREAMS = (
    [chunk(b'"content":"%s"' % text, b',"usage":null,"obfuscation":"x"') for text in (b"a", "é木".encode())],
    [chunk(b'"role":"assistant","content":"%s"' % text, b',"usage":null') for text in (b"a", b"\\n")],
    [
        chunk(
            b'"content":"","reasoning":"%s","reasoning_details":[{"type":"reasoning.text","text":"%s"}]' % (text, text)
        )
        for text in (b"a", b"because")
    ],
    [chunk(b'"reasoning_content":"%s","content":null' % text) for text in (b"a", b"\\u00e9")],
    [chunk(b'"tool_calls":[{"index":1,"function":{"arguments":"%s"}}]' % text) for text in (b"{", b'\\"a\\":1')],
)


def fuzz_deltas(data: bytes) -> None:
    frames = [("message", payload) for payload in expanded(data).split(b"\n\n")]
    python, native = (meaning(fuse(frames)) for fuse in (deltas.fuse, native_deltas.fuse))
    assert python == native, (python, native)


def fuzz_tokens(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    # The native twin takes what is longer in blocks.
    for each in (text, 9 * text):
        assert tokens.estimate(each) == native_tokens.estimate(each), each


def fuzz_edits(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    changes = []
    for _ in range(provider.ConsumeIntInRange(1, 3)):
        old, new = (provider.ConsumeBytes(provider.ConsumeIntInRange(0, 80)) for _ in range(2))
        changes.append((old.decode("utf-8", "replace"), new.decode("utf-8", "replace")))
    file = provider.ConsumeBytes(provider.remaining_bytes())
    assert edits.nearest(file, changes[0][0].encode()) == native_edits.nearest(file, changes[0][0].encode())
    python, native = (outcome(twin.plan, file, changes) for twin in (edits, native_edits))
    assert python == native, (python, native)
    if isinstance(python, list):
        after = edits.apply(file, python)
        outside = [file[one.end : other.start] for one, other in pairwise(python)]
        place = 0
        for kept, splice in zip([file[: python[0].start], *outside], python, strict=True):
            assert after[place : place + len(kept)] == kept
            place += len(kept) + len(splice.new)
        assert after[place:] == file[python[-1].end :]
        edits.diff(file, python, "file")


SEEDS = {"deltas": [shortened(b"\n\n".join(stream)) for stream in STREAMS]}
PAIRS = {"sse": fuzz_sse, "deltas": fuzz_deltas, "tokens": fuzz_tokens, "edits": fuzz_edits}


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in PAIRS:
        raise SystemExit(f"name a pair: {', '.join(PAIRS)}")
    for folder in filter(os.path.isdir, sys.argv[2:]):
        for place, seed in enumerate(SEEDS.get(sys.argv[1], ())):
            with open(os.path.join(folder, f"seed{place}"), "wb") as file:
                file.write(seed)
    atheris.Setup([sys.argv[0], *sys.argv[2:]], PAIRS[sys.argv[1]])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
