"""The exact tokeniser o200k, against which estimates are held, from ranks that npm brings.

RANKS is `node_modules/js-tiktoken/dist/ranks/o200k_base.js` after `npm i --ignore-scripts js-tiktoken`.
"""

import base64
import json
from pathlib import Path

import tiktoken


def vocabulary(path: Path) -> tiktoken.Encoding:
    text = path.read_text("utf-8")
    data = json.loads(text[text.index("{") : text.rindex("}") + 1])
    ranks = {}
    for line in filter(None, data["bpe_ranks"].split("\n")):
        _, start, *words = line.split(" ")
        ranks |= {base64.b64decode(word): int(start) + place for place, word in enumerate(words)}
    return tiktoken.Encoding("o200k", pat_str=data["pat_str"], mergeable_ranks=ranks, special_tokens={})
