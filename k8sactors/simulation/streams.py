"""Named random streams.

Each consumer draws from a stream of its own, derived from the seed and its name: adding a draw in
one actor does not change what another one sees.
"""

from __future__ import annotations

from hashlib import blake2b
from random import Random

__all__ = ["Random", "RandomStreams", "named_stream"]


class RandomStreams:
    """Streams of one simulation; the same name gives the same object."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[str, Random] = {}

    def get(self, name: str) -> Random:
        """The stream called `name`, created at its first use."""
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = named_stream(self.seed, name)
        return stream


def named_stream(seed: int, name: str) -> Random:
    """The stream of that name from its beginning, also where no simulation runs."""
    digest = blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()
    return Random(int.from_bytes(digest, "big"))
