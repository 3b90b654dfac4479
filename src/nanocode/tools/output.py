"""How much of an output a model sees, and the words that say so; knows nothing of where the output came from."""

from collections.abc import Iterable
from typing import NamedTuple

LINES = 2000
BYTES = 50 * 1024


class Cut(NamedTuple):
    """The lines kept, and which limit ended them: "" when all were kept, else "lines" or "bytes"."""

    lines: list[str]
    by: str


def head(lines: Iterable[str], *, max_lines: int = LINES, max_bytes: int = BYTES) -> Cut:
    """Whole lines from the start while they fit both limits (bytes as UTF-8, line ends counted)."""
    kept: list[str] = []
    room = max_bytes
    for line in lines:
        if len(kept) == max_lines:
            return Cut(kept, "lines")
        room -= len(line.encode("utf-8", "surrogateescape")) + 1
        if room < -1:
            return Cut(kept, "bytes")
        kept.append(line)
    return Cut(kept, "")


def tail(lines: list[str], *, max_lines: int = LINES, max_bytes: int = BYTES) -> Cut:
    """Whole lines from the end while they fit; a last line too long by itself keeps its end."""
    cut = head(reversed(lines), max_lines=max_lines, max_bytes=max_bytes)
    if not cut.lines and lines:
        return Cut([lines[-1].encode()[-max_bytes:].decode("utf-8", "ignore")], "bytes")
    return Cut(cut.lines[::-1], cut.by)


def size(count: int) -> str:
    """Bytes for a reader: `340B`, `1.2KB`, `50KB`, `1.2MB`."""
    amount = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1024 or unit == "GB":
            break
        amount /= 1024
    text = f"{amount:.1f}".removesuffix(".0") if unit != "B" else str(count)
    return f"{text}{unit}"


def plural(count: int, noun: str, nouns: str = "") -> str:
    """`1 line`, `1,204 files`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def framed(text: str, source: str) -> str:
    """Foreign text between marks that say so, which the text itself cannot forge."""
    inner = text.replace("</untrusted", "<\\/untrusted")
    return f'<untrusted source="{source.replace(chr(34), "%22")}">\n{inner}\n</untrusted>'
