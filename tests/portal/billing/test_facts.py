import json
from datetime import date
from decimal import Decimal

from portal.billing import facts
from portal.billing.usage import Fact


def test_facts_are_stored_as_json_and_come_back_the_same() -> None:
    known = {
        "box": [Fact(date(2023, 1, 24), 3, 1674604800000), Fact(date(2023, 1, 25), 0, 1674691200000)],
        "dropbox": [Fact(date(2023, 1, 24), Decimal("12.50"), 1)],
        "salesforce": [],
    }
    stored = facts.dump(known)
    assert stored["box"][0] == ["2023-01-24", 3, 1674604800000]
    assert stored["dropbox"] == [["2023-01-24", "12.50", 1]]
    assert facts.load(json.loads(json.dumps(stored))) == known
