"""Errors of the controllers.

ControllersError
└── UnknownControllerError       the configuration names a controller that does not exist
"""


class ControllersError(Exception):
    """The root of this package's errors."""


class UnknownControllerError(ControllersError):
    """No controller has this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"there is no controller {name!r}; known are {', '.join(known)}")
        self.name = name
