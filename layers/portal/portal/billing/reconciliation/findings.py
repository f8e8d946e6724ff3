"""What reconciliation says is wrong: which invariant, of what, and how it shows.

**B1** One bill per distributor and period, one invoice per account and term, each number given out once. **B2** Every
account is on each period's roster once, billed or with a reason; periods and terms abut. **B3** Total = sum of lines +
tax, as booked. **B4** What was received is what is recorded, here and at the payment provider, and once. **B5** Issued
documents are what was issued. **B6** States follow from what has happened. **B7** The ledger sums to zero, and says what
is owed. **B8** Periods and terms count from their anchor, a trial ends once. **B9** Nothing is charged or mailed for an
account after its end. **B10** A charge whose outcome is unknown is looked up. **B11** What a guard rail stops is issued
by an operator alone. **B12** Subscribing touches trials only.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

Invariant = Literal["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11", "B12"]


@dataclass(frozen=True, slots=True)
class Finding:
    invariant: Invariant
    about: str
    """E.g. `bill 10023`, `account acc_1`."""
    said: str

    @property
    def key(self) -> str:
        """Tells findings apart; the same one found again has the same."""
        return hashlib.sha256(f"{self.invariant}\n{self.about}\n{self.said}".encode()).hexdigest()[:16]

    def text(self) -> dict[str, str]:
        """As it is stored and sent."""
        return {"invariant": self.invariant, "about": self.about, "said": self.said, "key": self.key}


Findings = Iterator[Finding]


def confirmed(check: Callable[[bool], Findings]) -> list[Finding]:
    """What is found twice: what was only just being changed while it was read is not found again.

    `check` is told whether it is the second time, when it reads the table itself and no index.
    """
    first = list(check(False))
    return [found for found in check(True) if found in first] if first else []
