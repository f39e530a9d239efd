"""An object exists."""

from __future__ import annotations

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.client import is_not_found
from k8sactors.scenario.binding import Struct, Text, setting
from k8sactors.scenario.condition import ConditionKind
from k8sactors.scenario.context import Context
from k8sactors.scenario.names import RESOURCE


@attrs.define
class Exists:
    """An object exists."""

    resource: str = setting(RESOURCE, "the kind of object")
    name: str = setting(Text(), "its name")
    namespace: str | None = setting(Text(), "its namespace", default=None)


async def _missing(wanted: Exists, context: Context) -> str | None:
    try:
        await context.get(wanted.resource, wanted.namespace, wanted.name)
    except StatusError as error:
        if is_not_found(error):
            return f"there is no {wanted.resource} {wanted.name}"
        raise
    return None


CONDITION = ConditionKind(
    verb="exists", about="an object exists", settings=Struct(Exists), missing=_missing
)
