"""What a rule decided: the attributes of a record that get a new value."""

from collections.abc import Iterator, Mapping
from typing import Any


class Change(Mapping[str, Any]):
    """New values by attribute name; None takes the attribute away.

    A value: it updates the item, is the diff in the audit entry, and is what a rule's test compares.
    """

    def __init__(self, **values: Any) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Change) and self._values == other._values

    def __hash__(self) -> int:
        return hash(tuple(sorted(self._values)))

    def __or__(self, other: "Change") -> "Change":
        return Change(**{**self._values, **other._values})

    def __repr__(self) -> str:
        return f"Change({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"
