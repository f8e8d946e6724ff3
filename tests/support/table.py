"""The project's table, made for a test from the very template that is deployed."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads CloudFormation's short forms: `!Ref X` becomes `{"Ref": "X"}`."""


def _short_form(loader: Any, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


@lru_cache(maxsize=8)
def _properties(template: Path, changed_at: int, resource: str) -> dict[str, Any]:
    document = yaml.load(template.read_text(), _Loader)
    properties: dict[str, Any] = document["Resources"][resource]["Properties"]
    return properties


def table_properties(template: Path = TEMPLATE, resource: str = "Table") -> dict[str, Any]:
    """The table's CloudFormation properties. The file is read again only when it has changed."""
    return _properties(template, template.stat().st_mtime_ns, resource)


def create_table(
    client: Any, name: str = "portal", template: Path = TEMPLATE, resource: str = "Table"
) -> str:
    """Make the table with the template's keys, indexes, stream and TTL; answers its name."""
    properties = table_properties(template, resource)
    stream = properties.get("StreamSpecification")
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=properties["KeySchema"],
        AttributeDefinitions=properties["AttributeDefinitions"],
        **_given(GlobalSecondaryIndexes=properties.get("GlobalSecondaryIndexes")),
        **_given(StreamSpecification=stream and {**stream, "StreamEnabled": True}),
    )
    if ttl := properties.get("TimeToLiveSpecification"):
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)
    return name


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value}
