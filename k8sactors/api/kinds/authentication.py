"""Reviews of who asks (`authentication.k8s.io`)."""

from __future__ import annotations

from k8sactors.api.kind import ASKED_ONLY, Kind, Served

KINDS = (
    Kind(
        kind="TokenReview",
        plural="tokenreviews",
        served=(Served("authentication.k8s.io", "v1"),),
        namespaced=False,
        verbs=ASKED_ONLY,
    ),
    Kind(
        kind="SelfSubjectReview",
        plural="selfsubjectreviews",
        served=(Served("authentication.k8s.io", "v1"),),
        namespaced=False,
        verbs=ASKED_ONLY,
    ),
)
