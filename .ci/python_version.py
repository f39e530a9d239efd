"""Says which Python versions are supported, before anything is installed.

Run by the Makefile with the interpreter that the user chose, which may be an old one: this file
must be readable by every Python.
"""

import sys

OLDEST = (3, 11)
NEWEST = (3, 14)


def problem(version):
    """Why `version` (major, minor) cannot be used; an empty text when it can."""
    if OLDEST <= tuple(version) <= NEWEST:
        return ""
    words = (
        OLDEST[0],
        OLDEST[1],
        NEWEST[0],
        NEWEST[1],
        version[0],
        version[1],
        NEWEST[0],
        NEWEST[1],
    )
    return (
        "k8sactors supports Python %d.%d to %d.%d, and this is Python %d.%d: "
        "choose another with `make PYTHON=python%d.%d ...`" % words
    )


if __name__ == "__main__":
    found = problem(sys.version_info[:2])
    if found:
        sys.stderr.write(found + "\n")
        sys.exit(2)
