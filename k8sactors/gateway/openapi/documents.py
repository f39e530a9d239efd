"""The documents: operations and schemas together, for all groups (version 2) or one (version 3)."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from k8sactors.api.kind import ResourceInfo
from k8sactors.api.scheme import Scheme
from k8sactors.gateway import discovery
from k8sactors.gateway.discovery import resources_of
from k8sactors.gateway.negotiation import PATCH_TYPES
from k8sactors.gateway.openapi.operations import Operation, Parameter, operations
from k8sactors.gateway.openapi.schemas import (
    DELETE_OPTIONS,
    GROUP_VERSION_KIND,
    PATCH,
    STATUS,
    V2,
    V3,
    Schemas,
)
from k8sactors.gateway.protobuf_body import offer_of

Object = dict[str, Any]

_UNAUTHORIZED: Final = {"description": "Unauthorized"}


def group_paths(scheme: Scheme) -> dict[str, str]:
    """The name of each version 3 document (`api/v1`, `apis/apps/v1`), and its group version."""
    return {
        discovery.version_path(group, version).lstrip("/"): f"{group}/{version}"
        if group
        else version
        for group, versions in discovery.groups_of(scheme).items()
        for version in versions
    }


def version_2(scheme: Scheme) -> Object:
    """The whole API in one document."""
    schemas = Schemas(V2)
    paths = _paths(sorted(scheme.resources(), key=_order), schemas, _operation_2, _parameter_2)
    return {
        "swagger": "2.0",
        "info": _info(),
        "paths": paths,
        "definitions": schemas.collected(),
    }


def version_3(scheme: Scheme, api_version: str) -> Object:
    """The document of one group version."""
    schemas = Schemas(V3)
    paths = _paths(resources_of(scheme, api_version), schemas, _operation_3, _parameter_3)
    return {
        "openapi": "3.0.0",
        "info": _info(),
        "paths": paths,
        "components": {"schemas": schemas.collected()},
    }


def _info() -> Object:
    return {"title": "Kubernetes", "version": discovery.version()["gitVersion"]}


def _order(info: ResourceInfo) -> tuple[str, str]:
    return discovery.version_path(info.group, info.version), info.plural


def _paths(
    resources: Iterable[ResourceInfo], schemas: Schemas, describe: Any, parameter: Any
) -> Object:
    paths: Object = {}
    for info in resources:
        for operation in operations(info):
            item = paths.setdefault(operation.path, {})
            item[operation.action.method] = describe(operation, schemas)
            if operation.path_parameters:
                item["parameters"] = [parameter(each) for each in operation.path_parameters]
    return dict(sorted(paths.items()))


def _common(operation: Operation) -> Object:
    part = f"{operation.subresource} of the " if operation.subresource else ""
    action = operation.action.prefix
    return {
        "description": f"{action} {part}specified {operation.info.kind}",
        "operationId": operation.name,
        "tags": [operation.tag],
        "x-kubernetes-action": operation.action.name,
        GROUP_VERSION_KIND: operation.identity,
    }


def _media_types(operation: Operation) -> list[str]:
    """Those in which objects of the kind itself can be had."""
    offer = offer_of(operation.info, streams=False)
    return [each for each in offer.media_types if each not in offer.converted_only]


def _answer_schema(operation: Operation, schemas: Schemas) -> Object:
    if operation.action.name == "list":
        return schemas.of_list(operation.info)
    if operation.action.method == "delete":
        return schemas.reference(STATUS)
    return _object_schema(operation, schemas)


def _object_schema(operation: Operation, schemas: Schemas) -> Object:
    info = operation.info
    if (operation.api_version, operation.kind) == (info.api_version, info.kind):
        return schemas.of_resource(info)
    return schemas.of_kind(operation.api_version, operation.kind)


def _body_schema(operation: Operation, schemas: Schemas) -> Object | None:
    method = operation.action.method
    if method == "get":
        return None
    if method == "patch":
        return schemas.reference(PATCH)
    if method == "delete":
        return schemas.reference(DELETE_OPTIONS)
    return _object_schema(operation, schemas)


def _responses(operation: Operation, content: Object) -> Object:
    described = {
        str(code): {"description": HTTPStatus(code).phrase, **content}
        for code in operation.action.codes
    }
    return {**described, "401": _UNAUTHORIZED}


# Version 2


def _parameter_2(parameter: Parameter) -> Object:
    described: Object = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "type": parameter.type,
        "uniqueItems": True,
    }
    return {**described, "required": True} if parameter.place == "path" else described


def _operation_2(operation: Operation, schemas: Schemas) -> Object:
    parameters = [_parameter_2(each) for each in operation.action.parameters]
    body = _body_schema(operation, schemas)
    if body is not None:
        required = operation.action.method != "delete"
        described: Object = {"name": "body", "in": "body", "schema": body}
        parameters.insert(0, {**described, "required": True} if required else described)
    patches = operation.action.method == "patch"
    return {
        **_common(operation),
        "consumes": list(PATCH_TYPES) if patches else ["*/*"],
        "produces": _media_types(operation),
        "schemes": ["http"],
        "parameters": parameters,
        "responses": _responses(operation, {"schema": _answer_schema(operation, schemas)}),
    }


# Version 3


def _parameter_3(parameter: Parameter) -> Object:
    described: Object = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "schema": {"type": parameter.type, "uniqueItems": True},
    }
    return {**described, "required": True} if parameter.place == "path" else described


def _operation_3(operation: Operation, schemas: Schemas) -> Object:
    answer = {"schema": _answer_schema(operation, schemas)}
    content = {"content": dict.fromkeys(_media_types(operation), answer)}
    described = {
        **_common(operation),
        "parameters": [_parameter_3(each) for each in operation.action.parameters],
        "responses": _responses(operation, content),
    }
    body = _body_schema(operation, schemas)
    if body is not None:
        patches = operation.action.method == "patch"
        types = tuple(PATCH_TYPES) if patches else ("*/*",)
        described["requestBody"] = {"content": {each: {"schema": body} for each in types}}
        if operation.action.method != "delete":
            described["requestBody"]["required"] = True
    return described
