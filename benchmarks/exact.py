"""The exact tokenisers that estimates are held against, from ranks that npm brings.

RANKS is the folder `node_modules/js-tiktoken/dist/ranks` after `npm i --ignore-scripts js-tiktoken`.
"""

import base64
import json
from pathlib import Path

import tiktoken


def vocabulary(ranks: Path, name: str = "o200k_base") -> tiktoken.Encoding:
    text = (ranks / f"{name}.js").read_text("utf-8")
    data = json.loads(text[text.index("{") : text.rindex("}") + 1])
    tokens: dict[bytes, int] = {}
    for line in filter(None, data["bpe_ranks"].split("\n")):
        _, start, *words = line.split(" ")
        tokens |= {base64.b64decode(word): int(start) + place for place, word in enumerate(words)}
    return tiktoken.Encoding(name, pat_str=data["pat_str"], mergeable_ranks=tokens, special_tokens={})
