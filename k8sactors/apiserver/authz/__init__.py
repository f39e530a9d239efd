"""Authorization: who may do what.

`attributes` says what is asked; `rules` what a policy rule grants; `rbac` and `node` decide;
`authorizer` puts the configured modes together and words the refusals; `escalation` keeps those who
write roles from granting what they do not have; `bootstrap_policy` is what every cluster begins
with.
"""

from __future__ import annotations
