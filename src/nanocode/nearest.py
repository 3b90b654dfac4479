"""Which known names a wrong one may have meant; knows nothing of what is named."""

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], count: int = 3, *, cutoff: float = 0.5) -> list[str]:
    """Up to `count` of the `known` words, the most similar first; similarity is difflib's ratio, at least `cutoff`."""
    # Only an error needs it, and start-up would pay for it.
    from difflib import get_close_matches

    return get_close_matches(word, list(known), n=count, cutoff=cutoff)
