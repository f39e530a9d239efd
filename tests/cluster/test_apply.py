"""The three-way merge of apply."""

from __future__ import annotations

from k8sactors.client.apply import three_way_patch


def test_what_only_the_former_manifest_had_is_removed() -> None:
    last = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    wanted = {"metadata": {"labels": {"a": "1"}}}
    live = {"metadata": {"labels": {"a": "1", "b": "2", "others": "3"}}}
    assert three_way_patch(last, wanted, live) == {"metadata": {"labels": {"b": None}}}


def test_what_others_added_stays() -> None:
    wanted = {"spec": {"replicas": 3}}
    live = {"spec": {"replicas": 3, "paused": True}, "status": {"readyReplicas": 3}}
    assert three_way_patch(wanted, wanted, live) == {}


def test_changed_and_new_fields_are_set() -> None:
    last = {"spec": {"replicas": 3}}
    wanted = {"spec": {"replicas": 5, "template": {"x": [1]}}}
    live = {"spec": {"replicas": 3}}
    assert three_way_patch(last, wanted, live) == {
        "spec": {"replicas": 5, "template": {"x": [1]}},
    }
