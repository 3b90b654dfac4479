"""JSON as servers write it and as they must get it, with orjson and without."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocode import jsontext

TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.fixture(params=["orjson", "json"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "json":
        monkeypatch.setattr(jsontext, "orjson", None)
    elif jsontext.orjson is None:
        pytest.skip("orjson is not installed")


@given(TREES)
def test_what_goes_out_comes_back(value: Any) -> None:
    assert jsontext.loads(jsontext.dumps(value)) == value
    assert json.loads(jsontext.dumps(value)) == value


@pytest.mark.usefixtures("library")
class TestLibraries:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            (b"[-Infinity, Infinity]", [-math.inf, math.inf]),
            (b'"a\\ud83d"', "a\ud83d"),
            (b'"a\xff"', "a\ufffd"),
            ('"\u00e9"', "\u00e9"),
        ],
    )
    def test_what_strict_parsers_refuse_is_read(self, text: bytes | str, value: Any) -> None:
        assert jsontext.loads(text) == value

    def test_nan_is_read(self) -> None:
        assert math.isnan(jsontext.loads(b"NaN"))

    @pytest.mark.parametrize("text", [b"", b"{", b"{'a': 1}", b"nope", b"1 2", b"[" * 200_000])
    def test_what_is_no_json_is_a_value_error(self, text: bytes) -> None:
        with pytest.raises(ValueError):
            jsontext.loads(text)

    def test_output_is_compact_utf_8(self) -> None:
        assert jsontext.dumps({"a": [1, "\u00e9"]}) == '{"a":[1,"\u00e9"]}'.encode()
        assert jsontext.dumps("a\ud83d") == '"a\ufffd"'.encode()
        assert jsontext.dumps(2**80) == str(2**80).encode()


def test_a_pair_cut_in_two_is_joined_and_a_half_is_replaced() -> None:
    assert jsontext.mend("\ud83d\ude00") == "\U0001f600"
    assert jsontext.mend("a\ud83db\ude00") == "a\ufffdb\ufffd"
    assert jsontext.mend("\u00e9") == "\u00e9"
