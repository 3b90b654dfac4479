"""Says where a text that an edit did not find probably is, and what differs; knows nothing of how edits are placed.

The words are all that comes of a region found here: nothing is ever changed at a place that is only near.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice, zip_longest

from nanocode.errors import EditError
from nanocode.hot.region import Region
from nanocode.hot.splices import changes, line_start, line_stop, with_lf

Nearest = Callable[[bytes, bytes], Region | None]

_WHITESPACE = b" \t\n\v\f\r"
_QUOTES = str.maketrans(dict.fromkeys("'`\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033", '"'))
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}
_NUMBERED = re.compile(r"^ *\d+[|:\t] ?", re.MULTILINE)
_ROWS = 3
_SHOWN = 160
# A new text that is no whole line must be this long before its being there means anything.
_TELLING = 20

_WORDS = {
    "indentation": "only the indentation differs (→ is a tab)",
    "tabs": "tabs (here →) stand where the other has spaces",
    "spaces": "only spaces within lines differ",
    "line ends": "only the line breaks differ",
    "quotes": "only the quotes differ",
    "encoding": "the file has bytes there that are not UTF-8, which read shows as �; leave them out of `oldText`",
    "escapes": 'its escapes (`\\n`, `\\t`, `\\"`), where the file has the characters themselves',
    "numbers": "the line numbers that read shows, which are not part of the file",
    "text": "the text differs",
}


def hint(data: bytes, name: str, old: bytes, new: bytes, nearest: Nearest) -> EditError:
    """The error of an edit whose `old` is not in `data`: the region most like it, how alike, and what differs."""
    if misspelt := _misspelt(data, name, old):
        return misspelt
    region = nearest(data, old)
    lines = data.splitlines(keepends=True)
    if applied := _applied(data, lines, new, region):
        words = f"{name} is not in the file, but its newText is: already applied at line {applied}"
        return EditError(words, "already applied")
    if region is None:
        return EditError(f"{name} is not in the file, nor anything like it; read the file again", "absent")
    have = lines[region.first : region.last + 1]
    want = _trimmed(old)
    reason = _reason(have, want)
    where = _span(region.first + 1, region.last + 1)
    shown = _with_arrows if reason in ("indentation", "tabs") else _as_it_is
    rows = "".join(f"\n{row}" for row in islice(_rows(have, want, region.first + 1, shown), _ROWS))
    words = f"{name} is not in the file; nearest is {where}, {region.likeness // 10} % alike: {_WORDS[reason]}{rows}"
    return EditError(words, reason)


def _misspelt(data: bytes, name: str, old: bytes) -> EditError | None:
    """The error of an old text that is there but for what its writer put in: escapes, or the line numbers of read."""
    text, given = with_lf(data), with_lf(old).decode()
    plain = with_lf(re.sub(r"\\([nrt\"'\\])", lambda found: _ESCAPED.get(found[1], found[1]), given).encode())
    for reason, meant in (("escapes", plain), ("numbers", _NUMBERED.sub("", given).encode())):
        at = text.find(meant) if meant != given.encode() and meant.strip() else -1
        if at >= 0:
            line = 1 + text.count(b"\n", 0, at)
            return EditError(f"{name} is not in the file; it is at line {line} without {_WORDS[reason]}", reason)
    return None


def _span(first: int, last: int) -> str:
    return f"line {first}" if first == last else f"lines {first}-{last}"


def _applied(data: bytes, lines: list[bytes], new: bytes, region: Region | None) -> int:
    """The line where `new` stands, when that is no accident: nowhere else, or in the region; 0 otherwise."""
    text, wanted, first = with_lf(data), with_lf(new).strip(b"\n"), 0
    at = text.find(wanted) if wanted.strip() else -1
    if at >= 0 and text.find(wanted, at + 1) >= 0:
        if region is None:
            return 0
        reach = wanted.count(b"\n")
        first = max(0, region.first - reach)
        text = with_lf(b"".join(lines[first : region.last + 1 + reach]))
        at = text.find(wanted)
    if at < 0 or not (len(wanted.strip()) >= _TELLING or _whole_lines(text, at, at + len(wanted))):
        return 0
    return 1 + first + text.count(b"\n", 0, at)


def _whole_lines(text: bytes, start: int, end: int) -> bool:
    around = text[line_start(text, start) : start] + text[end : line_stop(text, end)]
    return not around.strip()


def _trimmed(old: bytes) -> list[bytes]:
    lines = old.splitlines(keepends=True)
    while lines and not lines[-1].strip():
        lines.pop()
    while lines and not lines[0].strip():
        lines.pop(0)
    return lines


def _reason(have: list[bytes], want: list[bytes]) -> str:
    if _bare(have) == _bare(want):
        if [_bare([line]) for line in have] != [_bare([line]) for line in want]:
            return "line ends"
        return _spaces(have, want)
    one, other = (b"".join(lines).decode("utf-8", "replace") for lines in (have, want))
    if "\ufffd" in other and "\ufffd" in one:
        return "encoding"
    if _same(one.translate(_QUOTES), other.translate(_QUOTES)):
        return "quotes"
    return "text"


def _same(one: str, other: str) -> bool:
    return one.split() == other.split()


def _bare(lines: list[bytes]) -> bytes:
    return b"".join(lines).translate(None, _WHITESPACE)


def _spaces(have: list[bytes], want: list[bytes]) -> str:
    reasons = set()
    for place, (one, other) in enumerate(zip(have, want, strict=True)):
        leads = _lead(one), _lead(other)
        if not place and not leads[1]:  # a text may begin within a line
            leads = b"", b""
        if leads[0] != leads[1]:
            reasons.add("tabs" if (b"\t" in leads[0]) != (b"\t" in leads[1]) else "indentation")
        elif one.split() != other.split():
            reasons.add("spaces")
        elif one.strip() != other.strip():
            reasons.add("tabs" if (b"\t" in one.strip()) != (b"\t" in other.strip()) else "spaces")
    return next((each for each in ("tabs", "indentation", "spaces") if each in reasons), "line ends")


def _lead(line: bytes) -> bytes:
    return line[: len(line) - len(line.lstrip(b" \t"))]


def _rows(have: list[bytes], want: list[bytes], number: int, shown: Callable[[bytes], str]) -> Iterator[str]:
    """The lines that differ, as the file has them and as they were given."""
    for i, j, k, m in changes(*([line.rstrip() for line in lines] for lines in (want, have))):
        for given, there in zip_longest(want[i:j], have[k:m]):
            if there is None:
                yield f"  oldText has {shown(given)} after line {number + m - 1}"
            elif given is None:
                yield f"  oldText lacks line {number + k}: {shown(there)}"
            else:
                yield f"  line {number + k} is {shown(there)}, oldText has {shown(given)}"
            k = min(k + 1, m)


def _as_it_is(line: bytes) -> str:
    text = line.rstrip(b"\r\n").decode("utf-8", "replace")
    return f"`{text[:_SHOWN]}`" + "…" * (len(text) > _SHOWN)


def _with_arrows(line: bytes) -> str:
    return _as_it_is(line).replace("\t", "→")
