"""The Cluster service: the members of the cluster."""

from __future__ import annotations

from typing import Any, Final

from raftstore.gateway.messages import message
from raftstore.gateway.method import Method, unary
from raftstore.gateway.translation import Fields, Picker, ToFields, header, picker

Member: Final = message("Member")
MemberAddResponse: Final = message("MemberAddResponse")


def _member(fields: Fields) -> Any:
    number, name, peer_urls, client_urls, is_learner = fields
    return Member(
        ID=number, name=name, peerURLs=peer_urls, clientURLs=client_urls, isLearner=is_learner
    )


class ListPicker(Picker):
    """As a Picker; repeated fields as lists."""

    def __call__(self, request: Any) -> Fields:
        """Its fields."""
        return [
            field if isinstance(field, int) else [*field] for field in super().__call__(request)
        ]


def _add_response(fields: Fields) -> Any:
    about, added, members = fields
    return MemberAddResponse(
        header=header(about), member=_member(added), members=[_member(item) for item in members]
    )


def _method(name: str, to_fields: ToFields) -> Method:
    """Most methods answer with the members after them."""
    response = message(f"Member{name}Response")

    def members_response(fields: Fields) -> Any:
        about, members = fields
        return response(header=header(about), members=[_member(item) for item in members])

    from_fields = _add_response if name == "Add" else members_response
    verb = name.lower()
    path = f"/v3/cluster/member/{verb}"
    return unary("Cluster", f"Member{name}", f"member_{verb}", to_fields, from_fields, path)


CLUSTER: Final = (
    _method("Add", ListPicker(("peerURLs", "isLearner"))),
    _method("Remove", picker("ID")),
    _method("Update", ListPicker(("ID", "peerURLs"))),
    _method("List", picker("linearizable")),
    _method("Promote", picker("ID")),
)
