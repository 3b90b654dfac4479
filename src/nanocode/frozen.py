"""Frozen values: comparable dataclasses with slots, at a third of the import time; knows nothing of what they hold.

`dataclass(frozen=True, slots=True)` writes and compiles six methods for each class, which is 1 ms of every start a
class. Here only `__init__` is made so and the rest is shared; that a value is never changed is left to mypy.
"""

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T]) -> type[T]:
    """Make a class of annotated fields a value; `replace`, `fields` and `asdict` of dataclasses work on it."""
    made: Any = dataclass(repr=False, eq=False, slots=True)(kind)
    made.__eq__, made.__hash__, made.__repr__ = _equal, _hash, _shown
    return made  # type: ignore[no-any-return]


def _held(one: Any) -> tuple[Any, ...]:
    return tuple([getattr(one, name) for name in one.__dataclass_fields__])


def _equal(one: Any, other: object) -> bool:
    return _held(one) == _held(other) if one.__class__ is other.__class__ else NotImplemented


def _hash(one: Any) -> int:
    return hash((one.__class__, _held(one)))


def _shown(one: Any) -> str:
    shown = [f"{each.name}={getattr(one, each.name)!r}" for each in fields(one) if each.repr]
    return f"{one.__class__.__qualname__}({', '.join(shown)})"
