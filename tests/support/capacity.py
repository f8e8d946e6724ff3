"""What DynamoDB would charge, in read and write units, from item images.

An item is its attribute names (UTF-8) and values. A read unit is 4 KB strongly consistent, half of that
eventually consistent; a write unit is 1 KB. Transactions double the table's part; an index is charged for the
change of what it stores, and never doubled.
"""

import math
from collections.abc import Mapping
from typing import Any

from .backend import Index, Schema, typed

KB = 1024


def item_size(attributes: Mapping[str, Any]) -> int:
    """Bytes of an item given as attribute values (`{"pk": {"S": ...}}`, or moto's typed values)."""
    return sum(len(name.encode()) + value_size(value) for name, value in attributes.items())


def value_size(value: Any) -> int:
    """Bytes of one attribute value. Numbers take about a byte for two digits, lists and maps 3 and 1 an
    element.
    """
    kind, content = typed(value)
    if kind == "S":
        return len(content) if content.isascii() else len(content.encode())
    if kind == "N":
        return _number_size(content)
    if kind == "B":
        # moto holds base64 text.
        return len(content) * 3 // 4 - content.count("=") if isinstance(content, str) else len(content)
    if kind in ("BOOL", "NULL"):
        return 1
    if kind == "M":
        return 3 + len(content) + item_size(content)
    if kind == "L":
        return 3 + len(content) + sum(map(value_size, content))
    return sum(value_size({kind[0]: element}) for element in content)


def _number_size(text: str) -> int:
    mantissa = str(text).lower().partition("e")[0]
    digits = mantissa.lstrip("+-").replace(".", "").strip("0")
    return min(21, math.ceil(len(digits) / 2) + 1 + mantissa.startswith("-"))


def read_units(size: int, *, consistent: bool = False, transaction: bool = False) -> float:
    """Units of reading that many bytes at once (one item, or everything a query went through)."""
    blocks = max(1, math.ceil(size / (4 * KB)))
    return blocks * (2 if transaction else 1 if consistent else 0.5)


def write_units(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, *, transaction: bool = False
) -> int:
    """Units of turning `old` into `new` (None: no item) in the table itself; a condition check is `old` to
    `old`.
    """
    size = max(item_size(image) if image else 0 for image in (old, new))
    return max(1, math.ceil(size / KB)) * (2 if transaction else 1)


def index_write_units(
    schema: Schema, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None
) -> dict[str, int]:
    """Units by index for the same change; indexes that store nothing different are left out."""
    units = {}
    for index in schema.indexes:
        was, becomes = _entry(schema, index, old), _entry(schema, index, new)
        if was == becomes:
            continue
        if was and becomes and all(was[name] == becomes[name] for name in index.keys):
            units[index.name] = write_units(was, becomes)
        else:
            units[index.name] = sum(write_units(None, entry) for entry in (was, becomes) if entry)
    return units


def _entry(schema: Schema, index: Index, image: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What the index stores of an item, or None."""
    if image is None or not all(name in image for name in index.keys):
        return None
    if index.projected is None:
        return image
    kept = {*schema.keys, *index.keys, *index.projected}
    return {name: value for name, value in image.items() if name in kept}
