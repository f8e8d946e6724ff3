"""From which addresses the users of a portal may come, and how that is changed without locking oneself out.

An entry is a list of addresses or a range, IPv4 or IPv6. It is stored in one spelling (`2001:db8::1`), and an IPv4
address is the same one when it is spelled as IPv6 has it (`::ffff:198.51.100.7`), so a caller's address is looked for as
text. Only ranges are compared as numbers.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from portal.change import Change
from portal.errors import Conflict, FieldError, Invalid, NotFound

if TYPE_CHECKING:
    from portal.identity.records import Security

MOST_ENTRIES = 100
MOST_ADDRESSES = 50
"""In one entry."""
LONGEST_ADDRESS = 45
"""Characters of the longest way to spell one."""
LONGEST_LIST = MOST_ADDRESSES * (LONGEST_ADDRESS + 2)
"""Characters of a list of addresses with a comma and a space between them."""

Entry = dict[str, Any]
"""As stored: `entry_id`, `description`, `created_at`, and `addresses` (a list), or `from` and `to`."""
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class OwnAddressNotCovered(Conflict):
    def __init__(self, address: str) -> None:
        super().__init__(
            f"Your own address {address or '(unknown)'} would not be covered, and you would be locked out. "
            "Add an entry that covers it first, or turn the restriction off."
        )


class TooManyEntries(Conflict):
    detail = f"A portal has at most {MOST_ENTRIES} entries; put several addresses into one."


# Whether somebody may come


def allowed(security: "Security | None", address: str) -> bool:
    """Whether a portal lets its users come from this address. Asked at every request."""
    if security is None or not security.ip_restricted:
        return True
    return covered(security.ip_entries, address)


def covered(entries: Sequence[Entry], address: str) -> bool:
    """Whether one of the entries covers the address; none covers what is no address."""
    came_from = _read(address)
    if came_from is None:
        return False
    spelled = str(came_from)
    return any(
        spelled in each["addresses"] if "addresses" in each else _is_between(came_from, each)
        for each in entries
    )


def _is_between(address: _Address, ends: Entry) -> bool:
    # A range lies in one family; the spelling tells which, before any number has to be made of it.
    if (":" in ends["from"]) is not (address.version == 6):
        return False
    return _number(ends["from"]) <= int(address) <= _number(ends["to"])


@lru_cache(maxsize=4_096)
def _number(stored: str) -> int:
    # The same few at every request.
    return int(ipaddress.ip_address(stored))


def _read(text: str) -> _Address | None:
    """An address, IPv4 where it is one in IPv6's clothes; None for all that is no single address."""
    try:
        # A zone (`fe80::1%eth0`) means something on one machine only.
        address = ipaddress.ip_address("" if "%" in text else text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return mapped or address


# What an entry says


def entry(entry_id: str, given: Mapping[str, str], now: datetime) -> Entry:
    """A new entry as it is stored, of what a client gives: `addresses`, or `from` and `to`; and a `description`.

    Raises:
        Invalid: it names nothing, both, half a range, or what is no address.
    """
    description = given.get("description", "")
    return _named(given) | {
        "entry_id": entry_id,
        "description": description,
        "created_at": now.isoformat(),
    }


def edited(before: Entry, given: Mapping[str, str]) -> Entry:
    """An entry with what a client gives in the place of what it said; either end of a range can be given alone.

    Raises:
        Invalid: as for a new one.
    """
    named = {name: given[name] for name in ("addresses", "from", "to") if name in given}
    kept = {name: before[name] for name in ("entry_id", "description", "created_at")}
    if named and "addresses" not in named:
        named = {name: before[name] for name in ("from", "to") if name in before} | named
    what = _named(named) if named else {name: before[name] for name in before if name not in kept}
    return what | kept | {name: given[name] for name in ("description",) if name in given}


def _named(given: Mapping[str, str]) -> Entry:
    """The part of an entry that says which addresses it covers."""
    ends = [name for name in ("from", "to") if name in given]
    if ends and "addresses" in given:
        raise _wrong("addresses", "An entry has addresses or a range, not both.")
    if "addresses" in given:
        return _listed(given["addresses"])
    if not ends:
        raise _wrong("addresses", "Give addresses, or a range's from and to.")
    if len(ends) == 1:
        raise _wrong("to" if ends == ["from"] else "from", "A range has two ends: from and to.")
    return _range(given["from"], given["to"])


def _listed(listed: str) -> Entry:
    found: list[str] = []
    for text in (each.strip() for each in listed.split(",")):
        address = _address("addresses", text)
        if address not in found:
            found.append(address)
    if len(found) > MOST_ADDRESSES:
        raise _wrong("addresses", f"An entry has at most {MOST_ADDRESSES} addresses.")
    return {"addresses": found}


def _range(first: str, last: str) -> Entry:
    start = ipaddress.ip_address(_address("from", first.strip()))
    end = ipaddress.ip_address(_address("to", last.strip()))
    if start.version != end.version:
        raise _wrong("to", "A range goes from IPv4 to IPv4 or from IPv6 to IPv6.")
    if int(start) > int(end):
        raise _wrong("to", f"The range ends at {end}, before it begins at {start}.")
    return {"from": str(start), "to": str(end)}


def _address(field: str, text: str) -> str:
    """An address as it is stored."""
    address = _read(text)
    if address is not None:
        return str(address)
    if not text:
        raise _wrong(field, "An address is missing: between two commas, or at an end.")
    if "/" in text:
        raise _wrong(field, f"{text} is a network: give it as a range, with its first and last address.")
    if "%" in text:
        raise _wrong(field, f"{text} names a zone, which means something on one machine only.")
    if "-" in text:
        raise _wrong(field, f"{text} is a range: give it as from and to.")
    raise _wrong(field, f"{text} is no IPv4 or IPv6 address (numbers are written without leading zeros).")


def _wrong(field: str, message: str) -> Invalid:
    return Invalid(errors=(FieldError(field, message),))


def said(told: Entry) -> str:
    """How the audit trail and mails tell an entry: `198.51.100.0 to 198.51.100.255 (Office)`."""
    what = ", ".join(told["addresses"]) if "addresses" in told else f"{told['from']} to {told['to']}"
    return f"{what} ({told['description']})" if told["description"] else what


# Changes: after each, a restriction that is on covers the address that the change came from


def get_entry(security: "Security | None", entry_id: str) -> Entry:
    """One of a portal's entries.

    Raises:
        NotFound: it has no such entry.
    """
    for each in security.ip_entries if security else ():
        if each["entry_id"] == entry_id:
            return dict(each)
    raise NotFound


def add(security: "Security | None", new: Entry, *, address: str) -> Change:
    """One entry more; the first one turns the restriction on.

    Raises:
        OwnAddressNotCovered: the restriction is on then, without the caller.
        TooManyEntries: there is no room.
    """
    entries = list(security.ip_entries) if security else []
    if len(entries) >= MOST_ENTRIES:
        raise TooManyEntries
    restricted = not entries or is_on(security)
    return _changed([*entries, new], restricted=restricted, address=address)


def replace(security: "Security | None", new: Entry, *, address: str) -> Change:
    """An entry says something else than before.

    Raises:
        OwnAddressNotCovered: it was the one that let the caller in.
    """
    entries = security.ip_entries if security else ()
    changed = [new if each["entry_id"] == new["entry_id"] else each for each in entries]
    return _changed(changed, restricted=is_on(security), address=address)


def remove(security: "Security | None", entry_id: str, *, address: str) -> Change:
    """One entry less. A restriction that is on keeps its last one: turning it off is a decision of its own.

    Raises:
        OwnAddressNotCovered: it was the one that let the caller in.
    """
    entries = security.ip_entries if security else ()
    left = [each for each in entries if each["entry_id"] != entry_id]
    return _changed(left, restricted=is_on(security), address=address)


def switch(security: "Security | None", *, restricted: bool, address: str) -> Change:
    """Turn the restriction on or off; its entries stay.

    Raises:
        OwnAddressNotCovered: no entry covers the caller.
    """
    return _changed(list(security.ip_entries) if security else [], restricted=restricted, address=address)


def is_on(security: "Security | None") -> bool:
    return security is not None and bool(security.ip_restricted)


def _changed(entries: list[Entry], *, restricted: bool, address: str) -> Change:
    if restricted and not covered(entries, address):
        raise OwnAddressNotCovered(address)
    return Change(ip_restricted=restricted, ip_entries=entries)
