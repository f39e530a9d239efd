"""A component has reported something."""

from __future__ import annotations

import attrs

from k8sactors.scenario.binding import Struct, Text, setting
from k8sactors.scenario.condition import ConditionKind
from k8sactors.scenario.context import Context


@attrs.define
class EventSeen:
    """A component has reported something."""

    reason: str = setting(Text(), "the event's reason, as in FailedScheduling")
    namespace: str | None = setting(Text(), "only about objects of this namespace", default=None)
    object: str | None = setting(
        Text("kind/name, as in Pod/web-0", r"[A-Za-z]+/[-.a-z0-9*]+"),
        "only about this object; the name may end in *",
        default=None,
    )
    message: str | None = setting(Text(), "the message contains this", default=None)


async def _missing(wanted: EventSeen, context: Context) -> str | None:
    for event in await context.list("events", wanted.namespace):
        about = event.get("involvedObject") or event.get("regarding") or {}
        subject = f"{about.get('kind')}/{about.get('name')}"
        message = str(event.get("message") or event.get("note") or "")
        if (
            event.get("reason") == wanted.reason
            and _same_object(subject, wanted.object)
            and (wanted.message is None or wanted.message in message)
        ):
            context.facts[f"{subject}: {message}"] = None
            return None
    return f"no event {wanted.reason}" + (f" about {wanted.object}" if wanted.object else "")


def _same_object(subject: str, wanted: str | None) -> bool:
    if wanted is None:
        return True
    if wanted.endswith("*"):
        return subject.startswith(wanted[:-1])
    return subject == wanted


CONDITION = ConditionKind(
    verb="event",
    about="a component has reported it; `object` is `Pod/web-*`",
    settings=Struct(EventSeen),
    missing=_missing,
)
