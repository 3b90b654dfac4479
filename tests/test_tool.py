"""A tool's schema comes from its signature; what the model sees of every tool stands in a golden file."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import pytest

from nanocode.tool import Context, Result, schema, tool
from nanocode.tools import ALL

GOLDEN = Path(__file__).parent / "golden" / "tools.json"


def declared() -> str:
    shown = [{"name": each.name, "description": each.description, "parameters": each.parameters} for each in ALL]
    return json.dumps(shown, indent=1, ensure_ascii=False) + "\n"


def test_the_model_sees_what_the_golden_file_shows() -> None:
    assert declared() == GOLDEN.read_text("utf-8"), "review, then run `python tests/test_tool.py`"


class Pair(TypedDict):
    """Two words."""

    one: str
    two: Annotated[str, "the second"]


SCHEMAS: list[tuple[Any, dict[str, Any]]] = [
    (str, {"type": "string"}),
    (int, {"type": "integer"}),
    (float, {"type": "number"}),
    (bool, {"type": "boolean"}),
    (str | None, {"type": "string"}),
    (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
    (list[int], {"type": "array", "items": {"type": "integer"}}),
    (Annotated[int | None, "how many", {"minimum": 1}], {"type": "integer", "description": "how many", "minimum": 1}),
    (
        Pair,
        {
            "type": "object",
            "properties": {"one": {"type": "string"}, "two": {"type": "string", "description": "the second"}},
            "required": ["one", "two"],
            "additionalProperties": False,
        },
    ),
]


@pytest.mark.parametrize(("hint", "wanted"), SCHEMAS, ids=range(len(SCHEMAS)))
def test_a_type_becomes_its_schema(hint: Any, wanted: dict[str, Any]) -> None:
    assert schema(hint) == wanted


def test_a_function_becomes_a_tool() -> None:
    run: Callable[..., Awaitable[Result]]

    async def sum_(context: Context, first: Annotated[int, "one"], second: Annotated[int, "other"] = 2) -> Result:
        """Add two numbers.

        Slowly.
        """
        return Result(str(first + second))

    run = sum_
    made = tool(reads=True)(run)
    assert (made.name, made.description, made.reads) == ("sum", "Add two numbers.\n\nSlowly.", True)
    assert made.parameters["required"] == ["first"]


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(declared(), "utf-8")
