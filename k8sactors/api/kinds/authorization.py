"""Reviews of what is allowed (`authorization.k8s.io`)."""

from __future__ import annotations

from k8sactors.api.kind import ASKED_ONLY, Kind, Served

KINDS = (
    Kind(
        kind="SubjectAccessReview",
        plural="subjectaccessreviews",
        served=(Served("authorization.k8s.io", "v1"),),
        namespaced=False,
        verbs=ASKED_ONLY,
    ),
    Kind(
        kind="SelfSubjectAccessReview",
        plural="selfsubjectaccessreviews",
        served=(Served("authorization.k8s.io", "v1"),),
        namespaced=False,
        verbs=ASKED_ONLY,
    ),
    Kind(
        kind="SelfSubjectRulesReview",
        plural="selfsubjectrulesreviews",
        served=(Served("authorization.k8s.io", "v1"),),
        namespaced=False,
        verbs=ASKED_ONLY,
    ),
    Kind(
        kind="LocalSubjectAccessReview",
        plural="localsubjectaccessreviews",
        served=(Served("authorization.k8s.io", "v1"),),
        verbs=ASKED_ONLY,
    ),
)
