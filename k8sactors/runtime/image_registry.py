"""Programs that a user of the simulation gives to images.

    async def counter(process):
        for number in range(3):
            await process.print(str(number))
            await process.sleep(1)
        return 0

    cluster.images.register("example.com/counter", counter)

A container of such an image runs the program from its start, and its exit code is the container's.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import attrs

from k8sactors.runtime.images import normalise
from k8sactors.runtime.process import Program


@attrs.frozen
class RegisteredImage:
    """An image with a program of its own."""

    pattern: str
    program: Program


class ImageRegistry:
    """The programs of images and the commands that they have besides; the newest entry wins."""

    def __init__(self) -> None:
        self._images: list[RegisteredImage] = []
        self.commands: dict[str, Program] = {}

    def register(self, image: str, program: Program) -> None:
        """Let containers of an image run `program`; `image` may be a pattern, and lack its tag.

        A container that overrides the command of its image runs that command.
        """
        last = image.rpartition("/")[2]
        pattern = image if ":" in last or "@" in last else f"{image}:*"
        self._images.insert(0, RegisteredImage(pattern, program))

    def register_command(self, name: str, program: Program) -> None:
        """Add a command to all images: for scripts, `command` and `kubectl exec`."""
        self.commands[name] = program

    def is_command(self, argv: Sequence[str]) -> bool:
        """Whether a command line calls a command that was added."""
        return bool(argv) and argv[0].rpartition("/")[2] in self.commands

    def program(self, image: str) -> Program | None:
        """The program that was registered for an image."""
        name = normalise(image)
        return next(
            (each.program for each in self._images if fnmatchcase(name, each.pattern)), None
        )
