"""Rules for the parts of a pod that have subresources: ephemeral containers and resources."""

from __future__ import annotations

from typing import Final

from k8sactors.api.defaulting.pod import qos_class
from k8sactors.api.validation.containers import check_containers
from k8sactors.api.validation.fields import Causes, Object, forbidden, invalid, not_found

_EPHEMERAL: Final = "spec.ephemeralContainers"
_NOT_EPHEMERAL: Final = (
    "ports",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "resources",
    "resizePolicy",
)
_RESIZED: Final = ("containers", "initContainers")
_MUTABLE: Final = frozenset({"cpu", "memory"})


def check_ephemeral_containers(old: Object, new: Object, causes: Causes) -> None:
    """The ephemeral containers of a pod: there may be more, and those that are there stay."""
    before = old["spec"].get("ephemeralContainers") or []
    after = new["spec"].get("ephemeralContainers") or []
    taken = {
        each["name"] for key in _RESIZED for each in new["spec"].get(key) or () if "name" in each
    }
    targets = frozenset(each["name"] for each in new["spec"].get("containers") or ())
    check_containers(after, _volumes(new), _EPHEMERAL, causes, taken=taken)
    for index, container in enumerate(after):
        at = f"{_EPHEMERAL}[{index}]"
        target = container.get("targetContainerName")
        if target and target not in targets:
            causes.append(not_found(f"{at}.targetContainerName", target))
        for field in _NOT_EPHEMERAL:
            if container.get(field):
                detail = "cannot be set for an Ephemeral Container"
                causes.append(forbidden(f"{at}.{field}", detail))
    kept = {each.get("name"): each for each in after}
    for each in before:
        name = each["name"]
        if name not in kept:
            detail = f'existing ephemeral containers "{name}" may not be removed'
            causes.append(forbidden(_EPHEMERAL, detail))
        elif kept[name] != each:
            detail = f'existing ephemeral containers "{name}" may not be changed'
            causes.append(forbidden(_EPHEMERAL, detail))


def check_resize(old: Object, new: Object, causes: Causes) -> None:
    """A pod whose containers get other resources."""
    if _without_resources(old["spec"]) != _without_resources(new["spec"]):
        causes.append(forbidden("spec", "only cpu and memory resources are mutable"))
        return
    if qos_class(new) != ((old.get("status") or {}).get("qosClass") or qos_class(old)):
        detail = "Pod QOS Class may not change as a result of resizing"
        causes.append(invalid("spec", qos_class(new), detail))
    for key in _RESIZED:
        containers: list[Object] = new["spec"].get(key) or []
        before = {each["name"]: each for each in old["spec"].get(key) or ()}
        check_containers(containers, _volumes(new), f"spec.{key}", causes, taken=set())
        for index, container in enumerate(containers):
            _check_kept(before[container["name"]], container, f"spec.{key}[{index}]", causes)


def _volumes(pod: Object) -> frozenset[str]:
    return frozenset(volume["name"] for volume in pod["spec"].get("volumes") or ())


def _check_kept(old: Object, new: Object, path: str, causes: Causes) -> None:
    """What has been requested or limited may be changed, and not be taken away."""
    for part in ("requests", "limits"):
        before = (old.get("resources") or {}).get(part) or {}
        after = (new.get("resources") or {}).get(part) or {}
        if any(name in _MUTABLE and name not in after for name in before):
            at = f"{path}.resources.{part}"
            causes.append(forbidden(at, f"resource {part} cannot be removed"))


def _without_resources(spec: Object) -> Object:
    """A specification without what a resize may change."""
    kept = dict(spec)
    for key in _RESIZED:
        if key in spec:
            kept[key] = [_without_cpu_and_memory(each) for each in spec[key]]
    return kept


def _without_cpu_and_memory(container: Object) -> Object:
    kept = dict(container)
    resources = kept.pop("resources", None) or {}
    others = {
        part: {name: value for name, value in values.items() if name not in _MUTABLE}
        for part, values in resources.items()
        if isinstance(values, dict)
    }
    if "claims" in resources:
        others["claims"] = resources["claims"]
    return {**kept, "resources": {part: value for part, value in others.items() if value}}
