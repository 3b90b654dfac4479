"""What a refusal means: whether to try again, how long to wait, and whose words to show."""

from email.utils import formatdate

import pytest

from nanocode.errors import ContextOverflow, ProviderError, TransientError
from nanocode.provider.auth import Key
from nanocode.provider.failures import ModelMissing, delay, refusal, retry_after, server_words

NOW = 1_800_000_000.0
KEY = Key("sk", "`OPENAI_API_KEY`")

WAITS = [
    ({}, None),
    ({"retry-after": "7"}, 7.0),
    ({"retry-after": "1.5"}, 1.5),
    ({"retry-after-ms": "250"}, 0.25),
    ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
    ({"retry-after": formatdate(NOW + 9, usegmt=True)}, 9.0),
    ({"retry-after": formatdate(NOW - 9, usegmt=True)}, 0.0),
    ({"retry-after": "soon"}, None),
    ({"retry-after": "1.2.3"}, None),
    ({"retry-after-ms": "x"}, None),
]


@pytest.mark.parametrize(("headers", "seconds"), WAITS)
def test_what_the_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


def test_the_pause_doubles_has_jitter_and_a_ceiling_and_is_never_shorter_than_asked() -> None:
    for attempt, middle in ((1, 2), (2, 4), (3, 8)):
        pauses = [delay(attempt, 2.0, None) for _ in range(50)]
        assert all(0.75 * middle <= pause <= 1.25 * middle for pause in pauses) and len(set(pauses)) > 1
    assert delay(20, 2.0, None) == 60.0
    assert delay(1, 2.0, 30.0) == 30.0


REFUSALS = [
    (500, b"x", TransientError),
    (429, b"x", TransientError),
    (404, b"x", ProviderError),
    (404, b'{"error":{"message":"The model `x` does not exist","code":"model_not_found"}}', ModelMissing),
    (400, b'{"error":"Model x is not supported for format oa-compat"}', ModelMissing),
    (400, b'{"error":{"message":"prompt is too long: 9 tokens > 8 maximum"}}', ContextOverflow),
    (413, b"the context window is exceeded", ContextOverflow),
    (429, b'{"type":"error","error":{"type":"FreeUsageLimitError","message":"x"}}', ProviderError),
    (429, b'{"error":{"code":"insufficient_quota"}}', ProviderError),
    (402, b"x", ProviderError),
]


@pytest.mark.parametrize(("status", "body", "kind"), REFUSALS)
def test_a_refusal_is_of_the_right_kind(status: int, body: bytes, kind: type[Exception]) -> None:
    assert type(refusal("POST http://x", status, {}, body, KEY, NOW)) is kind


def test_a_wait_of_more_than_a_minute_is_not_waited_and_said() -> None:
    error = refusal("POST http://x", 429, {"retry-after": "3600"}, b"x", KEY, NOW)
    assert type(error) is ProviderError and "3600 s" in error.hint


def test_a_refused_key_names_where_the_key_came_from() -> None:
    assert "`OPENAI_API_KEY`" in refusal("POST http://x", 401, {}, b"no", KEY, NOW).hint


WORDS = [
    (b'{"error":{"message":"it is odd","type":"server_error"}}', "it is odd (server_error)"),
    (b'{"error":"it is odd"}', "it is odd"),
    (b'{"detail":"it is odd"}', "it is odd"),
    (b'[{"error":{"message":"it is odd"}}]', "it is odd"),
    (b"<html><style>p{}</style><script>x()</script><body><h1>It is</h1> odd</body></html>", "It is odd"),
    (b"it\n is   odd", "it is odd"),
    (b"", ""),
    (b"x" * 600, "x" * 499 + "\u2026"),
]


@pytest.mark.parametrize(("body", "words"), WORDS, ids=range(len(WORDS)))
def test_the_servers_own_words_are_found(body: bytes, words: str) -> None:
    assert server_words(body) == words
