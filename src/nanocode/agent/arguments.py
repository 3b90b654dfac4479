"""Checks and coerces a call's arguments against the tool's schema; knows nothing of what the tool does with them."""

from collections.abc import Mapping
from typing import Any

from nanocode.errors import ToolError
from nanocode.jsontext import loads
from nanocode.tool import Tool


def arguments(tool: Tool, text: str) -> dict[str, Any]:
    """The keyword arguments for `tool.run` from the model's JSON text.

    `"42"` becomes 42 and null on an optional field is dropped; a list or object written as a JSON string is
    read. Raises ToolError, naming the field, for anything the schema does not allow.
    """
    data = parsed(text)
    if not isinstance(data, dict):
        raise ToolError(f"arguments of `{tool.name}` must be a JSON object, not {_kind(data)}")
    if tool.foreign:
        return {"arguments": data}
    data = {tool.aliases.get(name, name): value for name, value in data.items()} | {
        name: value for name, value in data.items() if name in tool.parameters["properties"]
    }
    return _object(tool.prepare(data), tool.parameters, "")


def parsed(text: str) -> Any:
    """The JSON value of an argument text; the empty text is `{}`. Raises ToolError with what is wrong."""
    if not text.strip():
        return {}
    try:
        return loads(text)
    except ValueError as error:
        raise ToolError(f"arguments are not valid JSON ({error}); nothing was run, send the call again") from None


def _object(data: Mapping[str, Any], schema: Mapping[str, Any], where: str) -> dict[str, Any]:
    properties, required = schema["properties"], schema["required"]
    for name in data:
        if name not in properties:
            raise ToolError(f"unknown argument `{where}{name}`; known: {', '.join(properties)}")
    given = {name: value for name, value in data.items() if value is not None or name in required}
    for name in required:
        if name not in given:
            raise ToolError(f"argument `{where}{name}` is missing")
    return {name: _value(value, properties[name], where + name) for name, value in given.items()}


def _value(value: Any, schema: Mapping[str, Any], where: str) -> Any:
    kind = schema["type"]
    value = _coerced(value, kind)
    if not _fits(value, kind):
        raise ToolError(f"argument `{where}` must be {_article(kind)}, not {_kind(value)}")
    if "enum" in schema and value not in schema["enum"]:
        raise ToolError(f"argument `{where}` must be one of {', '.join(schema['enum'])}, not `{value}`")
    if "minimum" in schema and value < schema["minimum"]:
        raise ToolError(f"argument `{where}` must be at least {schema['minimum']}, not {value}")
    if "maximum" in schema and value > schema["maximum"]:
        raise ToolError(f"argument `{where}` must be at most {schema['maximum']}, not {value}")
    if kind == "array":
        return [_value(item, schema["items"], f"{where}[{index}]") for index, item in enumerate(value)]
    if kind == "object" and "properties" in schema:
        return _object(value, schema, f"{where}.")
    return value


def _coerced(value: Any, kind: str) -> Any:
    if kind == "string" and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind == "array" and isinstance(value, dict):
        return [value]
    if isinstance(value, str) and kind != "string":
        try:
            return _coerced(loads(value.lower() if kind == "boolean" else value), kind)
        except ValueError:
            return value
    return value


_PYTHON = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}


def _fits(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _PYTHON[kind])  # type: ignore[arg-type]


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {
        bool: "a boolean",
        int: "an integer",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), type(value).__name__)


def _article(kind: str) -> str:
    return {"integer": "an integer", "array": "a list", "object": "an object"}.get(kind, f"a {kind}")
