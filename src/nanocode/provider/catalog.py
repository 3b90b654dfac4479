"""What is known of models: windows, prices, protocols; knows nothing of requests and never asks the network."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nanocode.errors import UsageError
from nanocode.frozen import frozen
from nanocode.jsontext import loads
from nanocode.messages import Usage
from nanocode.settings import Settings

WINDOW = 128_000
# A larger default would reserve most of a window for answers that hardly ever come.
OUTPUT = 32_000


@frozen
class Model:
    """One model. `window` and `output` in tokens (output 0: leave it to the server); prices in dollars a million."""

    id: str
    window: int = WINDOW
    output: int = 0
    prices: tuple[float, float, float] | None = None
    takes_images: bool = False
    limit_field: str = "max_tokens"

    @property
    def replays_reasoning(self) -> bool:
        """Whether a call without reasoning must still carry the empty field."""
        return any(name in self.id.lower() for name in ("deepseek", "kimi"))

    def cost(self, usage: Usage) -> float | None:
        """Dollars, None where no price is known."""
        if self.prices is None:
            return None
        fresh, written, cached = self.prices
        return ((usage.input - usage.cached) * fresh + usage.output * written + usage.cached * cached) / 1e6


# When the prices below were read.
PRICED = "November 2026"
# OpenCode Go's catalogue: window, output, dollars a million in, out, cached, images.
_KNOWN: dict[str, tuple[int, int, tuple[float, float, float] | None, bool]] = {
    "kimi-k2.6": (262_144, 65_536, (0.95, 4, 0.16), True),
    "kimi-k2.7-code": (262_144, 262_144, (0.95, 4, 0.19), True),
    "kimi-k3": (1_048_576, 131_072, (3, 15, 0.3), True),
    "glm-5.1": (202_752, 32_768, (1.4, 4.4, 0.26), False),
    "glm-5.2": (1_000_000, 131_072, (1.4, 4.4, 0.26), False),
    "glm-5.3": (1_000_000, 131_072, (1.4, 4.4, 0.26), False),
    "deepseek-v4-pro": (1_000_000, 384_000, (0.66, 1.98, 0.022), False),
    "deepseek-v4-flash": (1_000_000, 384_000, (0.15, 0.6, 0.003), False),
    "mimo-v2.5": (1_000_000, 128_000, (0.14, 0.28, 0.0028), False),
}
# OpenCode serves these families by protocols other than chat completions.
_OTHER_PROTOCOLS = {
    "minimax": "/messages",
    "qwen": "/messages",
    "grok": "/responses",
    "gpt": "/responses",
    "muse": "/responses",
}


def host(url: str) -> str:
    """The host that a URL names. Raises UsageError for what is no http URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"`{url}` is not a URL", "set OPENAI_BASE_URL to one such as http://127.0.0.1:4010/v1")
    return parts.hostname


def is_opencode(url: str) -> bool:
    name = host(url)
    return name == "opencode.ai" or name.endswith(".opencode.ai")


def model(settings: Settings, id: str) -> Model:
    """What is known of the model `id` at the session's endpoint: our table, then OpenCode's cache of models.dev.

    Raises UsageError for a model that OpenCode does not serve by chat completions.
    """
    if is_opencode(settings.endpoint):
        for family, protocol in _OTHER_PROTOCOLS.items():
            if id.lower().startswith(family):
                raise UsageError(
                    f"`{id}` speaks `{protocol}` at OpenCode, and nanocode speaks `/chat/completions`",
                    f"choose another with --model, such as {', '.join(list(_KNOWN)[:3])}",
                )
    found = _table(id) or _cached(settings, id) or Model(id)
    if host(settings.endpoint) == "api.openai.com":
        return replace(found, limit_field="max_completion_tokens")
    return found


def _table(id: str) -> Model | None:
    if id not in _KNOWN:
        return None
    window, output, prices, images = _KNOWN[id]
    return Model(id, window, min(output, OUTPUT), prices, images)


def _cached(settings: Settings, id: str) -> Model | None:
    cache = Path(settings.environ.get("XDG_CACHE_HOME") or settings.home / ".cache")
    try:
        providers = loads((cache / "opencode" / "models.json").read_bytes())
        entries = [each["models"][id] for each in providers.values() if id in each.get("models", ())]
        return _from_models_dev(id, entries[0]) if entries else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _from_models_dev(id: str, entry: Mapping[str, Any]) -> Model:
    limit, cost = entry.get("limit") or {}, entry.get("cost")
    prices = (
        (float(cost["input"]), float(cost["output"]), float(cost.get("cache_read", cost["input"]))) if cost else None
    )
    images = "image" in ((entry.get("modalities") or {}).get("input") or ())
    return Model(id, int(limit.get("context") or WINDOW), min(int(limit.get("output") or 0), OUTPUT), prices, images)
