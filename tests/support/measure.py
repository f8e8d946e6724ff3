"""Counts of calls and of capacity."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Counts:
    """By call name (`dynamodb.Query`), index writes by index name. Index reads count under the query."""

    calls: Counter[str] = field(default_factory=Counter)
    read_units: Counter[str] = field(default_factory=Counter)
    write_units: Counter[str] = field(default_factory=Counter)
    index_write_units: Counter[str] = field(default_factory=Counter)

    def add_reading(self, name: str, units: float) -> None:
        """Reading comes in halves, which a Counter takes, whatever its type says."""
        self.read_units[name] += units  # type: ignore[assignment]

    def snapshot(self) -> Self:
        """A copy that goes on being what it is."""
        return type(self)(*(Counter(part) for part in self._parts()))

    def reset(self) -> None:
        for part in self._parts():
            part.clear()

    def since(self, earlier: Self) -> Self:
        """What has been added to an earlier snapshot."""
        return type(self)(*(now - then for now, then in zip(self._parts(), earlier._parts(), strict=True)))

    @property
    def total_calls(self) -> int:
        return self.calls.total()

    @property
    def total_read_units(self) -> float:
        return self.read_units.total()

    @property
    def total_write_units(self) -> int:
        """The table's and its indexes'."""
        return self.write_units.total() + self.index_write_units.total()

    def _parts(self) -> tuple[Counter[str], ...]:
        return self.calls, self.read_units, self.write_units, self.index_write_units
