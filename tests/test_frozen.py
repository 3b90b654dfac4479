"""A value is what a frozen dataclass with slots is, beside the check at run time."""

import copy
import pickle
from dataclasses import asdict, dataclass, field, fields, replace
from typing import ClassVar

import pytest

from nanocode.frozen import frozen


@frozen
class Ours:
    """A value."""

    kind: ClassVar = "ours"
    a: int
    b: tuple[str, ...] = ()
    secret: str = field(default="", repr=False)
    many: list[int] = field(default_factory=list)

    @property
    def twice(self) -> int:
        return 2 * self.a


@frozen
class Other:
    """Another with the same fields."""

    a: int
    b: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Theirs:
    """The model."""

    kind: ClassVar = "ours"
    a: int
    b: tuple[str, ...] = ()
    secret: str = field(default="", repr=False)
    many: list[int] = field(default_factory=list)


def test_it_is_built_shown_and_taken_apart_like_a_dataclass() -> None:
    ours, theirs = Ours(1, ("x",), secret="s"), Theirs(1, ("x",), secret="s")
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours") and "s'" not in repr(ours)
    assert asdict(ours) == asdict(theirs)
    assert [each.name for each in fields(ours)] == [each.name for each in fields(theirs)]
    assert Ours.__match_args__ == Theirs.__match_args__ and Ours.__doc__ == "A value." and ours.twice == 2
    assert Ours(1).many is not Ours(1).many
    with pytest.raises(TypeError):
        Ours()  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        ours.nothing = 1  # type: ignore[attr-defined]


def test_equality_is_of_one_class_and_all_fields() -> None:
    assert Ours(1, ("x",)) == Ours(1, ("x",)) and Ours(1) != Ours(2) and Ours(1, secret="a") != Ours(1)
    assert Ours(1) != Other(1) and Other(1) != (1, ()) and Other(1) != 1
    assert len({Other(1), Other(1), Other(2)}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(Ours(1))


def test_copies_are_equal() -> None:
    ours = Ours(1, ("x",), "s", [1])
    assert replace(ours, a=2) == Ours(2, ("x",), "s", [1])
    assert copy.deepcopy(ours) == ours and pickle.loads(pickle.dumps(ours)) == ours
