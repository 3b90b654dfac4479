"""What a server's refusal means and what to do about it; pure, knows nothing of sockets or waiting."""

import random
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from nanocode.errors import ContextOverflow, ProviderError, TransientError
from nanocode.jsontext import loads
from nanocode.provider.auth import Key

_RETRIED = {408, 409, 425, 429}
_LONGEST_WAIT = 60.0

_OVERFLOW = re.compile(
    r"context[ _]length|context window|maximum context|prompt is too long|too many (input )?tokens|reduce the length"
    r"|exceeds? .{0,40}(context|token limit)|context_window",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(
    r"UsageLimitError|insufficient_quota|insufficient.{0,10}(balance|credit|fund)|billing|quota exceeded|CreditsError"
    r"|payment required",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model.{0,80}(not found|not supported|does not exist|unknown|unavailable|not available)"
    r"|(unknown|invalid|unsupported|no such) model|model_not_found|ModelError",
    re.IGNORECASE | re.DOTALL,
)


class ModelMissing(ProviderError):
    """The server does not know the model; the client adds the nearest ids."""


def refusal(where: str, status: int, headers: Mapping[str, str], body: bytes, key: Key, now: float) -> ProviderError:
    """The error of an HTTP answer that is not 200. `where` is such as `POST https://…`; `now` is epoch seconds."""
    words = server_words(body) or "no explanation"
    message = f"`{where}` answered {status}: {words}"
    raw = body[:20_000].decode("utf-8", "replace")
    if _ACCOUNT.search(raw) or status == 402:
        return ProviderError(message, "this is a limit of the account: wait for its reset, or use another key or model")
    if _OVERFLOW.search(raw) and status in (400, 413, 422, 500):
        return ContextOverflow(message, "start afresh, or set a model with a larger window by --model")
    if _NO_MODEL.search(raw) and status in (400, 401, 403, 404, 422):
        return ModelMissing(message)
    if status in (401, 403):
        return ProviderError(message, f"the key came from {key.source}: check it, and that it is of this server")
    if status in _RETRIED or status >= 500:
        return _transient(message, headers, now)
    if status == 404:
        return ProviderError(message, "check OPENAI_BASE_URL: `/chat/completions` is added to it")
    return ProviderError(message)


def in_band(where: str, error: Any) -> ProviderError:
    """The error of a value that came as `{"error": …}` inside a stream that began well."""
    words = _words_of(error) or "no explanation"
    message = f"`{where}` broke off: {words}"
    raw = str(error)
    code = error.get("code") or error.get("status") if isinstance(error, dict) else None
    if _ACCOUNT.search(raw):
        return ProviderError(message, "this is a limit of the account: wait for its reset, or use another key or model")
    if _OVERFLOW.search(raw):
        return ContextOverflow(message, "start afresh, or set a model with a larger window by --model")
    if isinstance(code, int | str) and str(code) in (
        "400",
        "401",
        "403",
        "404",
        "invalid_request_error",
        "content_filter",
    ):
        return ProviderError(message)
    return TransientError(message)


def _transient(message: str, headers: Mapping[str, str], now: float) -> ProviderError:
    wait = retry_after(headers, now)
    if wait is not None and wait > _LONGEST_WAIT:
        return ProviderError(message, f"the server asks to wait {wait:.0f} s: try again then, or use another model")
    return TransientError(message, "the server is busy or out of order: try again later", wait)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that the server asks to wait, from `retry-after-ms` or `retry-after` (seconds or a date)."""
    try:
        if value := headers.get("retry-after-ms"):
            return max(0.0, float(value) / 1000)
        value = headers.get("retry-after", "").strip()
        if not value:
            return None
        if re.fullmatch(r"[0-9.]+", value):
            return float(value)
        until: float = parsedate_to_datetime(value).timestamp()
        return max(0.0, until - now)
    except ValueError:
        return None


def delay(attempt: int, base: float, asked: float | None) -> float:
    """Seconds before the try after `attempt` (1-based): doubling with jitter, never less than the server asked."""
    wait = min(base * 2.0 ** (attempt - 1) * random.uniform(0.75, 1.25), _LONGEST_WAIT)
    return max(wait, asked or 0.0)


def server_words(body: bytes) -> str:
    """The server's own explanation from an error body: its JSON message, or the start of its text."""
    try:
        return _words_of(loads(body))
    except ValueError:
        text = re.sub(
            r"<(script|style).*?</\1>|<[^>]+>", " ", body[:20_000].decode("utf-8", "replace"), flags=re.S | re.I
        )
        return _shortened(text)


def _words_of(value: Any) -> str:
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        for name in ("error", "message", "detail", "msg", "title"):
            if inner := value.get(name):
                kind = value.get("type") if name == "message" else None
                words = _words_of(inner)
                return f"{words} ({kind})" if isinstance(kind, str) and kind not in words else words
    return _shortened(value if isinstance(value, str) else str(value))


def _shortened(text: str, limit: int = 500) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
