"""What a model may write as arguments, and what a tool gets of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocode.agent.arguments import arguments
from nanocode.errors import ToolError
from nanocode.tool import Tool
from nanocode.tools.bash import bash
from nanocode.tools.edit import edit
from nanocode.tools.grep import grep
from nanocode.tools.read import read

TAKEN: list[tuple[Tool, Any, dict[str, Any]]] = [
    (read, {"path": "a"}, {"path": "a"}),
    (read, {"file_path": "a"}, {"path": "a"}),
    (read, {"path": "a", "file_path": "b"}, {"path": "a"}),
    (read, {"file_path": "b", "path": "a"}, {"path": "a"}),
    (read, {"path": 7}, {"path": "7"}),
    (read, {"path": "a", "offset": "42"}, {"path": "a", "offset": 42}),
    (read, {"path": "a", "offset": 42.0}, {"path": "a", "offset": 42}),
    (read, {"path": "a", "offset": None, "limit": None}, {"path": "a"}),
    (bash, {"cmd": "ls", "timeout": "1.5"}, {"command": "ls", "timeout": 1.5}),
    (bash, {"command": "ls", "timeoutSeconds": 2}, {"command": "ls", "timeout": 2}),
    (grep, {"pat": "x", "ignoreCase": "True"}, {"pattern": "x", "ignoreCase": True}),
    (grep, {"pattern": "true", "literal": "false"}, {"pattern": "true", "literal": False}),
    *(
        (edit, given, {"path": "a", "edits": [{"oldText": "b", "newText": "c"}]})
        for given in (
            {"path": "a", "edits": [{"oldText": "b", "newText": "c"}]},
            {"path": "a", "edits": {"oldText": "b", "newText": "c"}},
            {"path": "a", "edits": '[{"oldText": "b", "newText": "c"}]'},
            {"path": "a", "edits": '{"oldText": "b", "newText": "c"}'},
            {"path": "a", "edits": [{"old": "b", "new": "c"}]},
            {"file_path": "a", "old_string": "b", "new_string": "c"},
            {"path": "a", "oldText": "b", "newText": "c"},
        )
    ),
]


@pytest.mark.parametrize(("tool", "given", "wanted"), TAKEN, ids=range(len(TAKEN)))
def test_other_spellings_and_shapes_are_taken(tool: Tool, given: Any, wanted: dict[str, Any]) -> None:
    assert arguments(tool, json.dumps(given)) == wanted


REFUSED: list[tuple[Tool, str, str]] = [
    (read, "{}", "`path` is missing"),
    (read, "", "`path` is missing"),
    (read, '{"path": null}', "`path` must be a string, not null"),
    (read, "[]", "must be a JSON object, not a list"),
    (read, '"a"', "must be a JSON object, not a string"),
    (read, '{"path": "a"', "not valid JSON"),
    (read, '{"path": ["a"]}', "`path` must be a string, not a list"),
    (read, '{"path": true}', "`path` must be a string, not a boolean"),
    (read, '{"path": "a", "offset": 0}', "`offset` must be at least 1, not 0"),
    (read, '{"path": "a", "offset": 1.5}', "`offset` must be an integer, not a number"),
    (read, '{"path": "a", "offset": "x"}', "`offset` must be an integer, not a string"),
    (read, '{"path": "a", "offset": true}', "`offset` must be an integer, not a boolean"),
    (read, '{"path": "a", "lines": 3}', "unknown argument `lines`; known: path, offset, limit"),
    (grep, '{"pattern": "a", "mode": "all"}', "`mode` must be one of lines, files, count, not `all`"),
    (grep, '{"pattern": "a", "context": 500}', "`context` must be at most 50, not 500"),
    (edit, '{"path": "a", "edits": [{"oldText": "b"}]}', "`edits[0].newText` is missing"),
    (edit, '{"path": "a", "edits": ["b"]}', "`edits[0]` must be an object, not a string"),
    (edit, '{"path": "a", "edits": "b"}', "`edits` must be a list, not a string"),
    (edit, '{"path": "a", "edits": [{"oldText": "b", "newText": 1, "all": true}]}', "unknown argument `edits[0].all`"),
]


@pytest.mark.parametrize(("tool", "text", "words"), REFUSED, ids=range(len(REFUSED)))
def test_a_bad_argument_is_named(tool: Tool, text: str, words: str) -> None:
    with pytest.raises(ToolError) as caught:
        arguments(tool, text)
    assert words in str(caught.value)


NAMES = st.sampled_from(["path", "edits", "oldText", "newText", "offset", "command"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
)


@given(st.sampled_from([read, bash, edit, grep]), JSON.map(json.dumps) | st.text())
def test_anything_is_either_checked_arguments_or_words_for_the_model(tool: Tool, text: str) -> None:
    try:
        checked = arguments(tool, text)
    except ToolError as error:
        assert str(error)
    else:
        assert set(tool.parameters["required"]) <= set(checked) <= set(tool.parameters["properties"])
