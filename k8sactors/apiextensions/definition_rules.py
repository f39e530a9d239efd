"""May this CustomResourceDefinition exist, and may that one become this one?

The texts are those of `apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from k8sactors.api.errors import Cause
from k8sactors.api.meta import condition_is
from k8sactors.api.validation import fields
from k8sactors.api.validation.names import dns1035_label, dns1123_subdomain
from k8sactors.apiextensions import json_path
from k8sactors.apiextensions.rule_checks import check_rule_syntax
from k8sactors.apiextensions.structural_rules import check_schema

Object = dict[str, Any]
Causes = list[Cause]
APPROVED: Final = "api-approved.kubernetes.io"
_SCOPES: Final = ("Cluster", "Namespaced")
_COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS: Final = (
    "byte",
    "date",
    "date-time",
    "double",
    "float",
    "int32",
    "int64",
    "password",
)
SELECTABLE_FIELDS_MAX: Final = 8
_REVIEW_VERSIONS: Final = ("v1", "v1beta1")
_MIXED_CASE: Final = "may have mixed case, but should otherwise match: "


def check_definition(obj: Object, causes: Causes) -> None:
    """Why a definition is refused."""
    spec = obj.get("spec") or {}
    names = spec.get("names") or {}
    metadata = obj["metadata"]
    if metadata.get("name") != f"{names.get('plural', '')}.{spec.get('group', '')}":
        text = 'must be spec.names.plural+"."+spec.group'
        causes.append(fields.invalid("metadata.name", metadata.get("name"), text))
    _check_group(metadata, spec.get("group") or "", causes)
    scope = spec.get("scope")
    if not scope:
        causes.append(fields.required("spec.scope"))
    elif scope not in _SCOPES:
        causes.append(fields.not_supported("spec.scope", scope, _SCOPES))
    if spec.get("preserveUnknownFields"):
        text = (
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
            "spec.versions[*].schema instead"
        )
        causes.append(fields.invalid("spec.preserveUnknownFields", True, text))
    _check_versions(spec.get("versions") or [], causes)
    _check_names(names, causes)
    _check_conversion(spec.get("conversion") or {}, causes)
    _check_stored_versions(obj, causes)


def check_definition_update(old: Object, new: Object, causes: Causes) -> None:
    """Why a definition may not become another one."""
    before, after = old["spec"], new["spec"]
    if condition_is(old, "Established"):
        fields.check_immutable(before, after, ("scope",), "spec", causes)
        fields.check_immutable(before["names"], after["names"], ("kind",), "spec.names", causes)
    fields.check_immutable(before, after, ("group",), "spec", causes)
    fields.check_immutable(before["names"], after["names"], ("plural",), "spec.names", causes)


def check_definition_status(old: Object, new: Object, causes: Causes) -> None:
    """Why the status of a definition may not become another one."""
    del old
    _check_stored_versions(new, causes)


def _check_group(metadata: Object, group: str, causes: Causes) -> None:
    path = "spec.group"
    if not group:
        causes.append(fields.required(path))
        return
    problems = dns1123_subdomain(group)
    if problems:
        causes.append(fields.invalid(path, group, ",".join(problems)))
    elif "." not in group:
        causes.append(fields.invalid(path, group, "should be a domain with at least one dot"))
    protected = group.endswith((".k8s.io", ".kubernetes.io"))
    if protected and not (metadata.get("annotations") or {}).get(APPROVED):
        text = (
            f'protected groups must have approval annotation "{APPROVED}", see '
            "https://github.com/kubernetes/enhancements/pull/1111"
        )
        causes.append(fields.required(f"metadata.annotations[{APPROVED}]", text))


def _check_versions(versions: list[Object], causes: Causes) -> None:
    path = "spec.versions"
    names = [each.get("name") or "" for each in versions]
    for place, version in enumerate(versions):
        where = f"{path}[{place}]"
        problems = dns1035_label(names[place])
        if problems:
            causes.append(fields.invalid(f"{where}.name", names[place], ",".join(problems)))
        _check_version(version, where, causes)
    if len(set(names)) != len(names):
        causes.append(fields.invalid(path, names, "must contain unique version names"))
    if sum(bool(each.get("storage")) for each in versions) != 1:
        text = "must have exactly one version marked as storage version"
        causes.append(fields.invalid(path, names, text))


def _check_version(version: Object, path: str, causes: Causes) -> None:
    warning = version.get("deprecationWarning")
    if warning is not None and not version.get("deprecated"):
        text = "can only be set for deprecated versions"
        causes.append(fields.invalid(f"{path}.deprecationWarning", warning, text))
    schema_path = f"{path}.schema.openAPIV3Schema"
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    before = len(causes)
    if schema is None:
        causes.append(fields.required(schema_path, "schemas are required"))
    else:
        check_schema(schema, schema_path, causes)
        if len(causes) == before:
            check_rule_syntax(schema, schema_path, causes)
    for place, column in enumerate(version.get("additionalPrinterColumns") or ()):
        _check_column(column, f"{path}.additionalPrinterColumns[{place}]", causes)
    _check_selectable(version, schema or {}, f"{path}.selectableFields", causes)
    scale = (version.get("subresources") or {}).get("scale")
    if scale is not None:
        _check_scale(scale, f"{path}.subresources.scale", causes)


def _check_column(column: Object, path: str, causes: Causes) -> None:
    if not column.get("name"):
        causes.append(fields.required(f"{path}.name"))
    kind, allowed = column.get("type"), ",".join(_COLUMN_TYPES)
    if not kind:
        causes.append(fields.required(f"{path}.type", f"must be one of {allowed}"))
    elif kind not in _COLUMN_TYPES:
        causes.append(fields.invalid(f"{path}.type", kind, f"must be one of {allowed}"))
    name = column.get("format")
    if name and name not in _COLUMN_FORMATS:
        text = f"must be one of {','.join(_COLUMN_FORMATS)}"
        causes.append(fields.invalid(f"{path}.format", name, text))
    text = column.get("jsonPath") or ""
    if not text:
        causes.append(fields.required(f"{path}.JSONPath"))
        return
    try:
        json_path.parse(text)
    except json_path.JsonPathError:
        causes.append(fields.invalid(f"{path}.JSONPath", text, "is an invalid path"))


def _check_selectable(version: Object, schema: Object, path: str, causes: Causes) -> None:
    declared = version.get("selectableFields") or []
    if len(declared) > SELECTABLE_FIELDS_MAX:
        text = f"Too many: {len(declared)}: must have at most {SELECTABLE_FIELDS_MAX} items"
        causes.append(Cause(path, "FieldValueTooMany", text))
    seen: dict[str, None] = {}
    for place, each in enumerate(declared):
        where, text = f"{path}[{place}].jsonPath", each.get("jsonPath") or ""
        if not text:
            causes.append(fields.required(where))
            continue
        if text in seen:
            causes.append(fields.duplicate(where, text))
        seen[text] = None
        names = json_path.names_of(text)
        if names is None:
            causes.append(fields.invalid(where, text, "is an invalid path: must be a simple path"))
        elif names[0] == "metadata":
            causes.append(fields.invalid(where, text, "must not point to fields in metadata"))
        elif not _is_selectable(schema, names):
            problem = "must point to a field of type string, boolean or integer. Enum string "
            causes.append(
                fields.invalid(
                    where, text, f"{problem}fields and strings with formats are allowed."
                )
            )


def _is_selectable(schema: Any, names: tuple[str, ...]) -> bool:
    for name in names:
        schema = (schema.get("properties") or {}).get(name)
        if not isinstance(schema, Mapping):
            return False
    return schema.get("type") in {"string", "boolean", "integer"}


def _check_scale(scale: Object, path: str, causes: Causes) -> None:
    for field, roots, needed in (
        ("specReplicasPath", (".spec",), True),
        ("statusReplicasPath", (".status",), True),
        ("labelSelectorPath", (".spec", ".status"), False),
    ):
        text = scale.get(field) or ""
        if not text:
            if needed:
                causes.append(fields.required(f"{path}.{field}"))
            continue
        if json_path.names_of(text) is None:
            problem = "must be a json path in the dot notation without arrays"
            causes.append(fields.invalid(f"{path}.{field}", text, problem))
        elif not text.startswith(tuple(f"{root}." for root in roots)):
            shown = "either .spec or .status" if len(roots) > 1 else roots[0]
            problem = f"should be a json path under {shown}"
            causes.append(fields.invalid(f"{path}.{field}", text, problem))


def _check_names(names: Object, causes: Causes) -> None:
    path = "spec.names"
    for field, required in (("plural", True), ("singular", False)):
        name = names.get(field) or ""
        if not name and required:
            causes.append(fields.required(f"{path}.{field}"))
        elif name and (problems := dns1035_label(name)):
            causes.append(fields.invalid(f"{path}.{field}", name, ",".join(problems)))
    for field in ("kind", "listKind"):
        name = names.get(field) or ""
        if not name:
            causes.append(fields.required(f"{path}.{field}"))
        elif problems := dns1035_label(name.lower()):
            text = _MIXED_CASE + ",".join(problems)
            causes.append(fields.invalid(f"{path}.{field}", name, text))
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        text = "kind and listKind may not be the same"
        causes.append(fields.invalid(f"{path}.listKind", names["listKind"], text))
    for field in ("shortNames", "categories"):
        for place, name in enumerate(names.get(field) or ()):
            if problems := dns1035_label(name):
                causes.append(fields.invalid(f"{path}.{field}[{place}]", name, ",".join(problems)))


def _check_conversion(conversion: Object, causes: Causes) -> None:
    path, strategy = "spec.conversion", conversion.get("strategy")
    if strategy not in {"None", "Webhook"}:
        causes.append(fields.not_supported(f"{path}.strategy", strategy, ("None", "Webhook")))
    webhook = conversion.get("webhook")
    if strategy == "None" and webhook is not None:
        text = "should not be set when strategy is not set to Webhook"
        causes.append(fields.forbidden(f"{path}.webhook", text))
    if strategy == "Webhook":
        _check_webhook(webhook or {}, f"{path}.webhook", causes)


def _check_webhook(webhook: Object, path: str, causes: Causes) -> None:
    client = webhook.get("clientConfig")
    where = f"{path}.clientConfig"
    if not client:
        causes.append(fields.required(where, "required when strategy is set to Webhook"))
    elif (client.get("url") is None) == (client.get("service") is None):
        causes.append(fields.required(where, "exactly one of url or service is required"))
    elif client.get("url") is not None and not client["url"].startswith("https://"):
        text = "'https' is the only allowed URL scheme"
        causes.append(fields.invalid(f"{where}.url", client["url"], text))
    versions = webhook.get("conversionReviewVersions") or []
    where = f"{path}.conversionReviewVersions"
    if not versions:
        causes.append(fields.required(where))
    elif not any(version in _REVIEW_VERSIONS for version in versions):
        text = f"must include at least one of {', '.join(_REVIEW_VERSIONS)}"
        causes.append(fields.invalid(where, versions, text))


def _check_stored_versions(obj: Object, causes: Causes) -> None:
    path = "status.storedVersions"
    stored = (obj.get("status") or {}).get("storedVersions") or []
    versions = (obj.get("spec") or {}).get("versions") or []
    if not stored:
        causes.append(fields.invalid(path, stored, "must have at least one stored version"))
    names = [each.get("name") for each in versions]
    for place, name in enumerate(stored):
        if name not in names:
            text = (
                "missing from spec.versions; v1 was previously a storage version, and must remain "
            )
            text = text.replace("v1", name)
            text += (
                "in spec.versions until a storage migration ensures no data remains persisted in "
            )
            text += f"{name} and removes {name} from status.storedVersions"
            causes.append(fields.invalid(f"{path}[{place}]", name, text))
    storage = next((each.get("name") for each in versions if each.get("storage")), None)
    if stored and storage is not None and storage not in stored:
        text = f"must have the storage version {storage}"
        causes.append(fields.invalid(path, stored, text))
