"""Which recorded cases concern what is there, and why the others wait."""

from __future__ import annotations

# By the first word of the name: areas of which nothing is built.
AREAS_NOT_BUILT = {
    "schedvol": "needs the scheduler's VolumeBinding",
}
CASES_NOT_BUILT = {
    "sts-volume-claims": "needs the scheduler's VolumeBinding",
}


def not_built(case: str) -> str | None:
    """Why a case cannot pass yet, None when it must."""
    return CASES_NOT_BUILT.get(case) or AREAS_NOT_BUILT.get(case.partition("-")[0])
