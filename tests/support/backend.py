"""moto's DynamoDB seen from inside: schemas and item images, read and put back without an API call.

While the harness is on, an item that moto holds is never changed in place (see `images_before`), so an image
is a reference, not a copy. That makes old images, roll-backs, stale reads and snapshots cheap.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import GlobalSecondaryIndex, Table

Attributes = Mapping[str, Any]
"""An item or key as DynamoDB spells it, `{"pk": {"S": "..."}}`, or the same with moto's typed values."""


@dataclass(frozen=True)
class Index:
    name: str
    keys: tuple[str, ...]
    """Partition key, and sort key if it has one."""
    projected: tuple[str, ...] | None
    """Attributes besides keys; None for all."""
    is_global: bool


@dataclass(frozen=True)
class Schema:
    table: str
    keys: tuple[str, ...]
    types: Mapping[str, str]
    indexes: tuple[Index, ...]

    def index(self, name: str) -> Index | None:
        return next((index for index in self.indexes if index.name == name), None)


@dataclass(frozen=True, slots=True)
class Image:
    """An item as it was or is; `item` is None where there was none."""

    table: Table
    key: tuple[DynamoType, ...]
    item: Item | None

    @property
    def attributes(self) -> Attributes | None:
        return None if self.item is None else self.item.attrs


def typed(value: Any) -> tuple[str, Any]:
    """Type and content of an attribute value, whether spelled `{"S": "x"}` or held as moto's DynamoType."""
    if isinstance(value, DynamoType):
        return value.type, value.value
    if isinstance(value, Mapping) and len(value) == 1:
        kind, content = next(iter(value.items()))
        return kind, content
    raise TypeError(f"not an attribute value: {value!r}; the harness needs a client, not a boto3 resource")


def backend_of(region: str) -> DynamoDBBackend:
    return dynamodb_backends[DEFAULT_ACCOUNT_ID][region]


def schema_of(table: Table) -> Schema:
    return Schema(
        table=table.name,
        keys=tuple(table.table_key_attrs),
        types={entry["AttributeName"]: entry["AttributeType"] for entry in table.attr},
        indexes=tuple(
            Index(
                name=index.name,
                keys=tuple(index.schema_key_attrs),
                projected=_projected(index.projection),
                is_global=isinstance(index, GlobalSecondaryIndex),
            )
            for index in table.all_indexes()
        ),
    )


def _projected(projection: Mapping[str, Any]) -> tuple[str, ...] | None:
    if projection.get("ProjectionType", "ALL") == "ALL":
        return None
    return tuple(projection.get("NonKeyAttributes", ()))


def find(table: Table, key: tuple[DynamoType, ...]) -> Item | None:
    """The item moto holds under a key (partition, and sort key if the table has one)."""
    found: Any = table.items.get(key[0])
    item: Item | None = found if found is None or len(key) == 1 else found.get(key[1])
    return item


def put_back(image: Image) -> None:
    """Make the table hold this image under its key."""
    items: Any = image.table.items
    at: Any = image.key[0]
    if len(image.key) == 2:
        items, at = items[at], image.key[1]
    if image.item is None:
        items.pop(at, None)
    else:
        items[at] = image.item


def key_of(table: Table, attributes: Attributes) -> tuple[DynamoType, ...]:
    return tuple(DynamoType(attributes[name]) for name in table.table_key_attrs)


def images_before(targets: Iterable[tuple[Table, tuple[DynamoType, ...], bool]]) -> list[Image]:
    """Images of items about to be written. Those moto would update in place (third element) are replaced by
    copies.
    """
    images = []
    for table, key, in_place in targets:
        item = find(table, key)
        images.append(Image(table, key, item))
        if in_place and item is not None:
            put_back(Image(table, key, copy.deepcopy(item)))
    return images


@contextmanager
def showing(images: Iterable[Image]) -> Iterator[None]:
    """Let the tables hold these images while the block runs, then what they held before."""
    present = []
    for image in images:
        present.append(Image(image.table, image.key, find(image.table, image.key)))
        put_back(image)
    try:
        yield
    finally:
        for image in reversed(present):
            put_back(image)


def all_images(region: str) -> dict[str, list[dict[str, Any]]]:
    """Every item of every table as plain attribute values, in key order: for comparing two states."""
    return {
        name: [
            {key: value.to_regular_json() for key, value in item.attrs.items()} for item in table.all_items()
        ]
        for name, table in backend_of(region).tables.items()
    }
