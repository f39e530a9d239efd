"""ConfigMaps, Secrets and ServiceAccounts."""

from __future__ import annotations

from k8sactors.api.columns import AGE, NAME, count, field
from k8sactors.api.defaulting import cluster as cluster_defaulting
from k8sactors.api.field_labels import SelectableFields, texts
from k8sactors.api.kind import Kind, Served
from k8sactors.api.strategies import ReturnedStrategy
from k8sactors.api.validation import config as config_validation

KINDS = (
    Kind(
        kind="ConfigMap",
        plural="configmaps",
        columns=(NAME, count("Data", "data", "binaryData"), AGE),
        served=(Served("", "v1"),),
        short_names=("cm",),
        check=config_validation.check_config_map,
        check_update=config_validation.check_config_map_update,
    ),
    Kind(
        kind="Secret",
        plural="secrets",
        columns=(NAME, field("Type", "type"), count("Data", "data"), AGE),
        served=(Served("", "v1", default=cluster_defaulting.default_secret),),
        check=config_validation.check_secret,
        check_update=config_validation.check_secret_update,
        fields=SelectableFields(texts("type")),
    ),
    Kind(
        kind="ServiceAccount",
        plural="serviceaccounts",
        columns=(NAME, count("Secrets", "secrets"), AGE),
        served=(Served("", "v1"),),
        subresources=("token",),
        short_names=("sa",),
        strategy=ReturnedStrategy,
    ),
)
