"""Errors of the controllers.

ControllersError
├── ConfigurationError           the controller manager cannot run with these settings
│   ├── UnknownControllerError   the selection names a controller that does not exist
│   ├── UnknownOptionError       no controller declares a setting of this name
│   └── InvalidOptionError       a setting has a value of the wrong type
├── MetricsError                 a metric that an autoscaler asks for cannot be had
├── ExpectedCountError           nothing says how many pods a budget is about
└── StaleCacheError              an informer does not show yet what was written: try again
"""

from __future__ import annotations

from collections.abc import Sequence


class ControllersError(Exception):
    """The root of this package's errors."""


class ConfigurationError(ControllersError):
    """The controller manager cannot run with these settings."""


class UnknownControllerError(ConfigurationError):
    """No controller has this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"there is no controller {name!r}; known are {', '.join(known)}")
        self.name = name


class UnknownOptionError(ConfigurationError):
    """No controller declares a setting of this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"no controller has an option {name!r}; known are {', '.join(known)}")
        self.name = name


class InvalidOptionError(ConfigurationError):
    """A setting has a value of the wrong type."""

    def __init__(self, name: str, value: object, expected: type) -> None:
        super().__init__(f"option {name!r} takes {expected.__name__}, not {value!r}")
        self.name = name


class MetricsError(ControllersError):
    """A metric that an autoscaler asks for cannot be had."""


class ExpectedCountError(ControllersError):
    """Nothing says how many pods there should be."""


class StaleCacheError(ControllersError):
    """The informer does not show the controller's own last writes yet."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the cache is behind the last writes for {key}")
