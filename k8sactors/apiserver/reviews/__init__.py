"""Reviews: questions that are asked by creating an object, and answered in its status.

Nothing is stored. `access` answers what is allowed, `identity` who asks or whose a token is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from k8sactors.apiserver.authn.authenticator import Authenticator
from k8sactors.apiserver.authz.authorizer import Authorizer
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.feed import Feed
from k8sactors.apiserver.reviews import access, identity
from k8sactors.apiserver.reviews.review import Review, Runner, answer

__all__ = ["reviews"]


def reviews(
    runner: Runner, feed: Feed, authenticator: Authenticator, authorizer: Authorizer
) -> dict[str, Callable[[Call], None]]:
    """What answers each kind of review, by the resource's name."""
    found: list[Review] = [
        access.SubjectAccessReview(authorizer),
        access.LocalSubjectAccessReview(authorizer),
        access.SelfSubjectAccessReview(authorizer),
        access.SelfSubjectRulesReview(authorizer),
        identity.TokenReview(authenticator, feed),
        identity.SelfSubjectReview(),
    ]
    return {review.resource: partial(answer, runner, review) for review in found}
