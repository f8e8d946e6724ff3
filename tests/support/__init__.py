"""What tests need that production must not have: the harness of AWS and HTTP, injected time, controlled
races.
"""

from .clock import FakeClock, SeededBytes
from .errors import (
    Crash,
    FaultMisused,
    NetworkRefused,
    NotAuthorised,
    OperationRefused,
    OutsideSubtree,
    TakenBack,
    Violation,
)
from .faults import Call, Fault
from .harness import EVERY_CRASH, Harness, Run
from .measure import Counts
from .scheduler import Outcome, SchedulerStuck
from .stripe import FakeStripe
from .table import create_table

__all__ = [
    "EVERY_CRASH",
    "Call",
    "Counts",
    "Crash",
    "FakeClock",
    "FakeStripe",
    "Fault",
    "FaultMisused",
    "Harness",
    "NetworkRefused",
    "NotAuthorised",
    "OperationRefused",
    "Outcome",
    "OutsideSubtree",
    "Run",
    "SchedulerStuck",
    "SeededBytes",
    "TakenBack",
    "Violation",
    "create_table",
]
