"""The rules of the house that every test enforces: stay in the subtree, no Scan, no real network."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass

from .actions import Action, Key
from .backend import typed
from .errors import OutsideSubtree, TakenBack, Violation
from .faults import Call


@dataclass(frozen=True)
class Scope:
    """The partitions a caller may touch: those that begin with the prefix, or with one of the extra ones."""

    prefix: str
    also: tuple[str, ...] = ()
    exactly: tuple[str, ...] = ()

    def covers(self, pk: str) -> bool:
        return pk in self.exactly or pk.startswith((self.prefix, *self.also))

    def may_index(self, pk: str) -> bool:
        """Whether an item may be written under this index key: in the subtree, or on the path up from it.

        `D#1|ACCOUNTS|` and `D#1|AUDIT_USER#a@b.c|` hold rows of the tenant `D#1|`, `D#1|P#2|` is another one's,
        and `V|` is the vendor, above all.
        """
        *tenant, rows, _ = pk.split("|")
        above = "|".join([*tenant, ""]) if tenant and not _TENANT.match(rows) else pk
        return self.covers(pk) or self.prefix.startswith(above) or pk == "V|"


WRITTEN_ONCE = ("AUDIT#",)
"""What the sort keys of items begin with that nobody ever changes or deletes."""

_TENANT = re.compile("[DPA]#")

_scope: ContextVar[Scope | None] = ContextVar("harness_scope", default=None)


class HouseRules:
    """Raises violations, and remembers them for `verify`."""

    def __init__(self, cross_tenant_indexes: Iterable[str]) -> None:
        self.violations: list[Violation] = []
        self._cross_tenant_indexes = frozenset(cross_tenant_indexes)

    @property
    def scope(self) -> Scope | None:
        return _scope.get()

    @contextmanager
    def within(self, prefix: str, also: Iterable[str], exactly: Iterable[str]) -> Iterator[None]:
        token = _scope.set(Scope(prefix, tuple(also), tuple(exactly)))
        try:
            yield
        finally:
            _scope.reset(token)

    def broken(self, violation: Violation) -> Violation:
        """Remember it; the caller raises it."""
        self.violations.append(violation)
        return violation

    def check(self, call: Call, keys: Iterable[Key]) -> None:
        """Raise `OutsideSubtree` if the caller is confined and one of these keys is outside."""
        scope = _scope.get()
        if scope is None:
            return
        for key in keys:
            if key.index and key.access == "write":
                fine = key.index in self._cross_tenant_indexes or scope.may_index(key.pk)
            else:
                fine = scope.covers(key.pk)
            if not fine:
                where = f"index {key.index}" if key.index else "the table"
                what = f"{key.access} {key.pk!r} {key.sk!r} in {where}"
                raise self.broken(OutsideSubtree(f"{call.name} would {what}, outside {scope.prefix!r}"))

    def check_kept(self, call: Call, actions: Sequence[Action], there: Sequence[bool]) -> None:
        """Raise `TakenBack` if an item that is written once and for all would be changed or deleted."""
        for action, is_there in zip(actions, there, strict=True):
            sort_key = str(typed(action.attributes.get("sk", {"S": ""}))[1])
            if not is_there or not sort_key.startswith(WRITTEN_ONCE) or action.kind == "check":
                continue
            if action.kind != "put" or "ConditionExpression" not in action.parameters:
                raise self.broken(TakenBack(f"{call.name} would {action.kind} {sort_key}"))

    @contextmanager
    def expecting(self, kind: type[Violation]) -> Iterator[list[Violation]]:
        before = len(self.violations)
        caught: list[Violation] = []
        with suppress(kind):
            yield caught
        caught += [violation for violation in self.violations[before:] if isinstance(violation, kind)]
        self.violations[before:] = [v for v in self.violations[before:] if not isinstance(v, kind)]
        assert caught, f"no {kind.__name__}"

    def verify(self) -> None:
        if self.violations:
            raise type(self.violations[0])("; ".join(map(str, self.violations)))
