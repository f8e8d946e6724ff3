"""Where a reconciliation stands, and what it has found.

Both travel in the message that is handed on: nothing is written until something is found. What is read at a time is
bounded, whatever the size of a distributor.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from pydantic import BaseModel

from portal.adapters import stripe
from portal.billing.issue import midnight
from portal.billing.reconciliation.documents import PATIENCE
from portal.billing.reconciliation.findings import Finding, Findings, confirmed
from portal.billing.reconciliation.records import Hold
from portal.billing.records import find_sequence
from portal.consumer import Work
from portal.distributors.records import Distributor, get_distributor
from portal.payments.records import find_payer
from portal.scope import EVERYTHING
from portal.telemetry import logger, metrics
from portal.tree import Node

RECENT = timedelta(days=70)
"""How far back every night looks: the last two periods are in it, whatever the payment day."""
MOST_FOUND = 100
"""After so many findings a run ends: somebody has to look anyway."""
AT_ONCE = 100


_NOT_ASKED: dict[str, stripe.Intent] = {}


class Parts(BaseModel):
    """How far the parts of a bill are gone through."""

    bill_sk: str
    done: int = 0
    digest: str | None = None
    net: int = 0
    line_count: int = 0
    last_account: str = ""
    negative: bool = False
    duplicate: bool = False


class Place(BaseModel):
    """How far a distributor is gone through."""

    stage: str = ""
    after: str = ""
    """The sort key, id or number that was done last."""
    parts: Parts | None = None
    """Of the bill behind that."""
    owed_back: int = 0
    """By the ledger, as far as it was gone through."""


@dataclass
class Walk:
    """One invocation's part of the way; `of` is a distributor, or the vendor for the numbers of all."""

    work: Work
    of: Node
    full: bool
    hold: Hold | None
    last_numbers: dict[str, int]
    """The last ones given out, by sequence: `bills`, `credit-notes`."""
    found: dict[str, Finding] = field(default_factory=dict)
    """By key."""
    let_go: set[str] = field(default_factory=set)
    """Keys of what was found again and let go by an operator before."""
    _distributor: Distributor | None = None
    _intents: dict[str, stripe.Intent] | None = field(default_factory=lambda: _NOT_ASKED)

    @property
    def now(self) -> datetime:
        return self.work.now

    @property
    def since(self) -> date:
        """From when on everything is looked at."""
        return date.min if self.full else (self.now - RECENT).date()

    @property
    def is_held(self) -> bool:
        return self.hold is not None and self.hold.is_on

    @property
    def is_excused(self) -> bool:
        """Whether nothing is late yet: it is held, or was until lately, and the jobs still catch up."""
        lifted_at = self.hold.lifted_at if self.hold is not None else None
        return self.is_held or (lifted_at is not None and lifted_at > self.now - PATIENCE)

    @property
    def is_full_up(self) -> bool:
        return len(self.found) >= MOST_FOUND

    @property
    def distributor(self) -> Distributor:
        if self._distributor is None:
            self._distributor = get_distributor(EVERYTHING, self.of.distributor)
        return self._distributor

    @property
    def intents(self) -> dict[str, stripe.Intent] | None:
        """What the payment provider knows of the distributor since then, by id; None on a night when it does not
        answer.
        """
        if self._intents is _NOT_ASKED:
            self._intents = self._ask()
        return self._intents

    def _ask(self) -> dict[str, stripe.Intent] | None:
        payer = find_payer(EVERYTHING, self.of)
        if payer is None or payer.customer_id is None:
            return {}
        since = midnight(max(self.since, self.distributor.billed_from_on))
        try:
            return {each.intent_id: each for each in stripe.list_intents(payer.customer_id, since)}
        except stripe.Unknown as error:
            logger.warning("the payment provider is not compared", extra={"reason": str(error)})
            metrics.add_metric("ProviderNotCompared", unit="Count", value=1)
            return None

    def last_number(self, sequence: str, again: bool) -> int:
        """`again`: by now; a document may have got its number since this invocation began."""
        if again:
            self.last_numbers[sequence] = last_number(sequence)
        return self.last_numbers[sequence]

    def check(self, check: Callable[[bool], Findings]) -> None:
        """Take in what is found twice; see `confirmed`."""
        self.take(confirmed(check))

    def take(self, findings: Iterable[Finding]) -> None:
        released = set(self.hold.released or ()) if self.hold else set()
        for each in findings:
            if each.key in released:
                self.let_go.add(each.key)
            elif not self.is_full_up:
                self.found[each.key] = each


def last_number(sequence: str) -> int:
    known = find_sequence(sequence)
    return int(known.last) if known else 0
