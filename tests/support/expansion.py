"""The template as CloudFormation gets it: after SAM's transform."""

from copy import deepcopy
from functools import cache
from typing import Any

import yaml
from samtranslator.translator.transform import transform

from .table import TEMPLATE, _Loader


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


@cache
def template() -> dict[str, Any]:
    """The template as it is written."""
    document: dict[str, Any] = yaml.load(TEMPLATE.read_text(), _Loader)
    return document


@cache
def expanded() -> dict[str, dict[str, Any]]:
    """The resources after SAM's transform, by logical id."""
    source = deepcopy(template())
    source["Globals"]["Function"]["CodeUri"] = "s3://bucket/functions.zip"
    for resource in source["Resources"].values():
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = "s3://bucket/layer.zip"
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"].pop("CodeUri", None)
    defaults = {name: each.get("Default") for name, each in source.get("Parameters", {}).items()}
    result: dict[str, dict[str, Any]] = transform(source, defaults, _NoManagedPolicies())["Resources"]
    return result
