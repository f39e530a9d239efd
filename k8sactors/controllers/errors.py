"""Errors of the controllers.

ControllersError
├── UnknownControllerError       the configuration names a controller that does not exist
└── StaleCacheError              an informer does not show yet what was written: try again
"""


class ControllersError(Exception):
    """The root of this package's errors."""


class UnknownControllerError(ControllersError):
    """No controller has this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"there is no controller {name!r}; known are {', '.join(known)}")
        self.name = name


class StaleCacheError(ControllersError):
    """The informer does not show the controller's own last writes yet."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the cache is behind the last writes for {key}")
