"""How many seats a request needs: a list of many objects takes more than one.

A write needs seats for a while after it was answered, because its changes are sent to watchers.
Source: KEP-1040, "Width of the request"; figures of the real server's work estimators.
"""

from __future__ import annotations

import math
from typing import Final

from k8sactors.api.protocol import READ_VERBS
from k8sactors.apiserver.authz.attributes import selected_name
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.priority_and_fairness.priority_level import PriorityLevel
from k8sactors.simulation import MILLISECOND

_MOST_SEATS: Final = 10
# Of the nominal seats of a level that one request may hold.
_MOST_SHARE: Final = 0.15
_OBJECTS_PER_SEAT: Final = 100
_WATCHES_PER_SEAT: Final = 10
_EVENT_NS: Final = 5 * MILLISECOND


def seats_of_list(objects: int, level: PriorityLevel) -> int:
    """The seats of a list, or of a watch that begins with all objects."""
    return min(max(1, math.ceil(objects / _OBJECTS_PER_SEAT)), _most_seats(level))


def is_of_one(call: Call) -> bool:
    """Whether a list is limited to one object by name: it costs no more than a get."""
    return bool(selected_name(call.verb, call.options))


def after_answer(call: Call, level: PriorityLevel) -> tuple[int, int]:
    """Seats, and for how many nanoseconds, while the change is sent to watchers."""
    watches = call.resource.cache.watchers.count
    if call.verb in READ_VERBS or not watches or call.subresource == "token":
        return 0, 0
    seats = min(math.ceil(watches / _WATCHES_PER_SEAT), _most_seats(level))
    return seats, watches * _EVENT_NS // seats


def _most_seats(level: PriorityLevel) -> int:
    return max(1, min(_MOST_SEATS, math.ceil(_MOST_SHARE * level.nominal)))
