"""Defaults: what the API server writes into an object where its author said nothing.

One function per kind and version; the kind's record names it. Each takes an object and returns an
object: the same one when nothing was missing, else a new one that shares all that did not change.
Defaults that need cluster state (service account, cluster IP, tolerations, priority) are
admission's or the strategy's matter, not this package's. The values are those of the API
reference.
"""
