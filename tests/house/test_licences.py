"""What comes along with `pip install nanocode` is under licences that leave its user free."""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution

from packaging.requirements import Requirement

# MPL 2.0 binds changes of its own files alone. CNRI-Python is Python's own older licence.
FREE = {"MIT", "BSD", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "MPL-2.0", "CNRI-Python"}
# The words of classifiers and of older metadata.
SPELLED = {
    "MIT License": "MIT",
    "BSD License": "BSD",
    "Apache Software License": "Apache-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


def closure(name: str, seen: dict[str, Distribution]) -> dict[str, Distribution]:
    """Every distribution that `name` needs here, by name; what a marker leaves out is not installed."""
    found = distribution(name)
    if found.name in seen:
        return seen
    seen[found.name] = found
    for requirement in map(Requirement, found.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            closure(requirement.name, seen)
    return seen


def licences(found: Distribution) -> Iterator[str]:
    """Each licence that its metadata names: as an expression, by classifiers, or in the first line of the text."""
    metadata = found.metadata
    if expression := metadata.get("License-Expression"):
        yield from (word for word in re.split(r"[\s()]+", expression) if word not in ("", "AND", "OR"))
        return
    classifiers = [each.rpartition(" :: ")[2] for each in metadata.get_all("Classifier") or () if "License ::" in each]
    for words in classifiers or (metadata.get("License") or "no licence at all").strip().splitlines()[:1]:
        yield SPELLED.get(words, words)


def test_every_licence_leaves_the_user_free() -> None:
    needed = closure("nanocode", {})
    assert {"httpx", "mcp", "pydantic"} <= {name.lower() for name in needed}
    others = {name: [each for each in licences(found) if each not in FREE] for name, found in needed.items()}
    assert not {name: names for name, names in others.items() if names}
