from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from portal import keys
from portal.accounts import listing
from portal.accounts.listing import AccountFilters, AccountsQuery
from portal.accounts.records import Account
from portal.billing.standing import Standing
from portal.errors import Invalid
from portal.money import Money
from portal.tree import Node

NOW = datetime(2023, 1, 24, 12, tzinfo=UTC)


def account(name: str, **values: Any) -> Account:
    own_id = "acc_" + name.lower().replace(" ", "_")
    usual = {
        "account_id": own_id,
        "name": name,
        "email": f"{name.lower().replace(' ', '.')}@example.com",
        "state": "subscribed",
        "plan": "monthly",
        "subscribed_on": NOW.date(),
        "size_bytes": 0,
        "backup_status": "no_backups",
        "created_at": NOW,
    }
    return Account(keys.node(Node("dst_1", "prt_1", own_id)), keys.NODE, **{**usual, **values})


def names(rows: list[listing.Listed]) -> list[str]:
    return [row.account.name for row in rows]


@pytest.mark.parametrize(
    "query",
    [
        "mob",
        "MOBY",
        "dick",
        "moby dick",
        "dick mob",
        "Zoé",
        "zoe",
        "moby.dick@example.com",
        "  moby  ",
        "exam",
        "strasse",
        "",
    ],
)
def test_search_finds_word_prefixes_ignoring_case_and_accents(query: str) -> None:
    assert listing.matches_search(query, "Zoë Moby-Dick Straße", "moby.dick@example.com")


@pytest.mark.parametrize("query", ["oby", "moby rose", "ick", "@", "***", "mobydick"])
def test_search_finds_nothing_else(query: str) -> None:
    assert not listing.matches_search(query, "Zoë Moby-Dick", "moby.dick@example.com")


def test_filters_combine_and_several_values_of_one_mean_any() -> None:
    accounts = [
        account("Ann", backup_status="failed"),
        account("Bob", backup_status="partially_failed", plan="annual"),
        account("Cid", backup_status="failed", plan="annual"),
        account("Dan", state="removal_pending"),
    ]

    def chosen(**filters: Any) -> list[str]:
        return names(listing.chosen(accounts, AccountFilters.model_validate(filters), NOW))

    assert chosen() == ["Ann", "Bob", "Cid", "Dan"]
    assert chosen(backup_status="failed") == ["Ann", "Cid"]
    assert chosen(backup_status=["failed", "partially_failed"], account_status="annual_subscribed") == [
        "Bob",
        "Cid",
    ]
    assert chosen(account_status="removal_pending") == ["Dan"]
    assert chosen(search="ci", backup_status="failed") == ["Cid"]


def test_the_billing_status_can_be_filtered_and_sorted_where_it_exists() -> None:
    accounts = [account("Ann"), account("Bob"), account("Cid")]
    nothing = Money.zero("USD")
    standings = {
        "acc_ann": Standing("overdue", nothing, None),
        "acc_bob": Standing("trial", nothing, None),
        "acc_cid": Standing("due", nothing, None),
    }
    filters = AccountFilters.model_validate({"billing_status": ["due", "overdue"]})
    assert names(listing.chosen(accounts, filters, NOW, standings)) == ["Ann", "Cid"]
    assert listing.chosen(accounts, filters, NOW) == []
    rows = listing.chosen(accounts, AccountFilters(), NOW, standings)
    assert names(sorted(rows, key=listing.sort_key("-billing_status"))) == ["Bob", "Cid", "Ann"]


@pytest.mark.parametrize("asked", [{"billing_status": "due"}, {"sort": "-billing_status"}])
def test_who_sees_no_money_cannot_ask_about_it_either(asked: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        listing.check_money(AccountsQuery.model_validate(asked), sees_money=False)
    listing.check_money(AccountsQuery.model_validate(asked), sees_money=True)


@pytest.mark.parametrize(
    "wrong", [{"account_status": "gone"}, {"sort": "colour"}, {"limit": "0"}, {"colour": "red"}]
)
def test_unknown_filters_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        AccountsQuery.model_validate(wrong)


def test_names_sort_without_case_and_accents_and_ties_by_id() -> None:
    accounts = [account("zoe"), account("Émile"), account("alf"), account("Eric"), account("Alf")]
    rows = sorted(listing.chosen(accounts, AccountFilters(), NOW), key=listing.sort_key("name"))
    assert names(rows) == ["alf", "Alf", "Émile", "Eric", "zoe"]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("size", ["Bob", "Ann", "Cid"]),
        ("created", ["Cid", "Ann", "Bob"]),
        ("email", ["Cid", "Bob", "Ann"]),
        ("account_status", ["Bob", "Ann", "Cid"]),
        ("backup_status", ["Cid", "Bob", "Ann"]),
    ],
)
def test_lists_sort_by_what_they_show(sort: str, order: list[str]) -> None:
    accounts = [
        account("Ann", size_bytes=20, email="z@example.com", plan="annual", backup_status="failed"),
        account(
            "Bob",
            size_bytes=3,
            email="y@example.com",
            backup_status="successful",
            created_at=NOW.replace(year=2024),
        ),
        account(
            "Cid",
            size_bytes=100,
            email="x@example.com",
            state="removal_pending",
            created_at=NOW.replace(year=2022),
        ),
    ]
    rows = listing.chosen(accounts, AccountFilters(), NOW)
    assert names(sorted(rows, key=listing.sort_key(sort))) == order
    assert names(sorted(rows, key=listing.sort_key(f"-{sort}"), reverse=True)) == order[::-1]
