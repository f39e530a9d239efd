"""Named random streams.

Each consumer draws from a stream of its own, derived from the seed and its name: adding a draw in
one actor does not change what another one sees.
"""

from hashlib import blake2b
from random import Random

__all__ = ["Random", "RandomStreams"]


class RandomStreams:
    """Streams of one simulation; the same name gives the same object."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[str, Random] = {}

    def get(self, name: str) -> Random:
        """The stream called `name`, created at its first use."""
        stream = self._streams.get(name)
        if stream is None:
            digest = blake2b(f"{self.seed}/{name}".encode(), digest_size=16).digest()
            stream = self._streams[name] = Random(int.from_bytes(digest, "big"))
        return stream
