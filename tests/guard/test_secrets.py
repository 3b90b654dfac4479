"""No key is written down: known values in any spelling, shapes of tokens, and nothing else."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nanocode.guard.secrets import REDACTED, Redactor, known
from nanocode.jsontext import dumps, loads

KEY = "k3y-of-the-house-0123"
# Put together here, so that no scanner takes them for real ones.
TOKENS = [
    "sk-" + "a1B2" * 6,
    "sk-proj-" + "a1_B-2" * 6,
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2_" * 8,
    "glpat-" + "a1B2-" * 5,
    "xoxb-" + "1234567890-abc",
    "hf_" + "aBcD" * 9,
    "npm_" + "a1B2" * 9,
    "pypi-" + "AgEI" * 15,
    "AKIA" + "ABCD1234" * 2,
    "AIza" + "a1B2c" * 7,
    "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM" + "0In0.SflKxwRJSMeKKF2QT4",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nAQAB\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token[:10])
def test_what_has_the_shape_of_a_token_goes_out_of_texts(token: str) -> None:
    assert Redactor([]).text(f"use {token}, please") == f"use {REDACTED}, please"


@pytest.mark.parametrize(
    "words", ["sk-learn", "task-" + "a" * 30, "hf_hub", "the AKIA prefix", "eyJ.a.b", "pypi-server"]
)
def test_what_only_looks_a_little_like_one_stays(words: str) -> None:
    assert Redactor([]).text(words) == words


def test_known_values_go_wherever_they_stand_and_the_longest_first() -> None:
    redactor = Redactor([KEY, f"{KEY}-and-more"])
    assert redactor.text(f"a{KEY}b {KEY}-and-more") == f"a{REDACTED}b {REDACTED}"
    assert redactor.line(f'{{"a":"{KEY}-and-more"}}'.encode()) == f'{{"a":"{REDACTED}"}}'.encode()


def test_a_value_too_short_to_be_a_secret_stays() -> None:
    redactor = Redactor(["unused", ""])
    assert redactor.text("it is unused") == "it is unused" and redactor.line(b'"unused"') == b'"unused"'


@given(st.text(min_size=12, max_size=30), st.text(max_size=20), st.integers(0, 1))
@example("0" * 12, "\0", 0)
@example("0" * 12, "\0", 1)
@example("n" * 12, "\n", 1)
@example("0" * 12, "1", 0)
def test_a_line_stays_json_and_holds_no_known_value_at_any_depth(value: str, around: str, depth: int) -> None:
    value = value.encode("utf-8", "replace").decode()
    text = f"{around}{value}{around}"
    for _ in range(depth):
        # The arguments of a call are JSON inside JSON.
        text = dumps({"a": text}).decode()
    line = Redactor([value]).line(dumps({"text": text}) + b"\n")
    left = loads(line)["text"]
    for _ in range(depth):
        left = loads(left)["a"]
    assert REDACTED in left
    assert value not in left or value in REDACTED or value in around + REDACTED + around


def test_secrets_of_the_environment_are_found_by_their_names() -> None:
    environ = {
        "OPENAI_API_KEY": " padded-value-1 ",
        "MY_SERVICE_TOKEN": "value-2",
        "db_password": "value-3",
        "AWS_SECRET": "value-4",
        "GOOGLE_CREDENTIALS": "value-5",
        "KEYBOARD": "us",
        "TOKENIZERS_PARALLELISM": "true",
        "PATH": "/bin",
    }
    assert sorted(known(environ)) == ["padded-value-1", "value-2", "value-3", "value-4", "value-5"]


def test_a_redacted_line_is_the_same_line_where_there_is_nothing_to_hide() -> None:
    line = json.dumps({"text": 'plain "words" \\ and ü'}).encode()
    assert Redactor([KEY]).line(line) == line
