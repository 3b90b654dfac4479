"""JSON in and out, as lenient inward as servers need and strict outward; knows nothing of what the values mean."""

import json
from typing import Any

try:
    import orjson
except ImportError:  # orjson has no wheels for free-threaded builds
    orjson = None  # type: ignore[assignment]


def loads(text: bytes | memoryview | str) -> Any:
    """Parse JSON; also NaN, Infinity and lone surrogate escapes, which servers send and orjson refuses.

    Bytes that are not UTF-8 are replaced by U+FFFD. Raises ValueError when the text is not JSON.
    """
    if orjson is not None:
        try:
            return orjson.loads(text)
        except ValueError:
            pass
    if not isinstance(text, str):
        text = bytes(text).decode("utf-8", "replace")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON; lone surrogates become U+FFFD, integers of any size and NaN-free floats pass."""
    if orjson is not None:
        try:
            return orjson.dumps(value)
        except TypeError:
            pass
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return mend(text).encode()


def mend(text: str) -> str:
    """Join surrogate pairs that arrived as two escapes, and replace what stays alone by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
