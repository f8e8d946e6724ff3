"""Every mail the portal sends: what it says, by the name of its template.

A template is a function of its parameters (JSON values) that returns a `Letter`; its name goes into
`TEMPLATES`. How a letter becomes text and HTML is the same for all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from portal.settings import settings


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says.

    The button stands between the paragraphs and the closing ones: a text and where it leads, an address or a
    path below the portal's.
    """

    subject: str
    paragraphs: tuple[str, ...]
    button: tuple[str, str] | None = None
    closing: tuple[str, ...] = ()


Parameters = Mapping[str, Any]


def invitation(given: Parameters) -> Letter:
    """To a new user: `name`, and `link`, which is good for 24 hours."""
    return Letter(
        f"Your access to the {settings.vendor_name} portal",
        (
            f"Hello {given['name']},",
            f"you have been given access to the {settings.vendor_name} portal. "
            "Confirm your e-mail address and choose a password to sign in.",
        ),
        ("Confirm and choose a password", given["link"]),
        ("The link works once and for 24 hours. If you did not expect this mail, you can ignore it.",),
    )


def usage_report(given: Parameters) -> Letter:
    """To who asked for it: `requested_on`, `rows`, and `link` to the report in the portal."""
    return Letter(
        "Your usage report is ready",
        (
            f"The usage report you asked for on {given['requested_on']} is ready. "
            f"It has {given['rows']} rows.",
        ),
        ("Open the report", given["link"]),
    )


def trial_expiring(given: Parameters) -> Letter:
    """To the administrators of a trial account and of its reseller: the account's `account` (name) and
    `email`, `at`, and the `plan` that it is subscribed to then, if any.
    """
    return Letter(
        f"The trial of {given['account']} ends soon",
        (
            f"The trial of {given['account']} ({given['email']}) ends on {given['at']}.",
            f"It is then subscribed to the {given['plan']} plan."
            if given["plan"]
            else "Unless it is subscribed by then, its backups stop.",
        ),
        ("Open the portal", "/accounts"),
    )


def trial_data_deletion(given: Parameters) -> Letter:
    """To the same, twice: what an expired trial backed up is deleted `at`."""
    return Letter(
        f"The backed-up data of {given['account']} will be deleted",
        (
            f"The trial of {given['account']} ({given['email']}) has ended without a subscription.",
            f"Its backed-up data will be deleted on {given['at']}. "
            "Subscribe the account before then to keep it.",
        ),
        ("Open the portal", "/accounts"),
    )


def bill_issued(given: Parameters) -> Letter:
    """To who gets billing mail: a new bill's `reference`, `kind`, `method`, `amount` and `due_on`; its PDF is
    attached.
    """
    what = "bill" if given["kind"] == "monthly" else "invoice"
    to_pay = (
        "It is charged to your credit card; there is nothing you need to do."
        if given["method"] == "credit_card"
        else f"Please pay it by {given['due_on']}, quoting its number."
    )
    return Letter(
        f"Your {what} {given['reference']}",
        (f"Your {what} {given['reference']} over {given['amount']} has been issued. {to_pay}",),
        (f"Open the {what}", f"/billing/history/{given['reference']}"),
    )


def bill_reminder(given: Parameters) -> Letter:
    """To who gets billing mail: the bill's `reference`, `amount` still owed, `due_on`, and how many
    `days_past` that is.
    """
    when = f"was due on {given['due_on']}" if given["days_past"] else "is due today"
    return Letter(
        f"Reminder: bill {given['reference']} {when}",
        (
            f"Bill {given['reference']} {when}. {given['amount']} is still owed.",
            "If your payment is on its way, you can ignore this mail.",
        ),
        ("Open the bill", f"/billing/history/{given['reference']}"),
    )


def payment_received(given: Parameters) -> Letter:
    """To who gets billing mail: that `amount` for the bill `reference` arrived on `received_on`."""
    return Letter(
        f"Payment received for bill {given['reference']}",
        (
            f"We have received {given['amount']} for bill {given['reference']} on {given['received_on']}. "
            "Thank you.",
        ),
        ("Open the bill", f"/billing/history/{given['reference']}"),
    )


TEMPLATES: dict[str, Callable[[Parameters], Letter]] = {
    template.__name__: template
    for template in (
        invitation,
        usage_report,
        trial_expiring,
        trial_data_deletion,
        bill_issued,
        bill_reminder,
        payment_received,
    )
}


def as_text(letter: Letter, links: Mapping[str, str]) -> str:
    """A letter as plain text. `links` are the files that were too large to attach, by name."""
    button = [f"{letter.button[0]}:\n{_address(letter.button[1])}"] if letter.button else []
    files = [f"{name}:\n{address}" for name, address in links.items()]
    return "\n\n".join((*letter.paragraphs, *button, *files, *letter.closing, _SIGNED)) + "\n"


def as_html(letter: Letter, links: Mapping[str, str]) -> str:
    """A letter as HTML: everything in it is text, whatever characters a name holds."""
    button = [_link(*letter.button, _BUTTON)] if letter.button else []
    files = [_link(name, address) for name, address in links.items()]
    said = [escape(each) for each in letter.paragraphs]
    closing = [escape(each) for each in (*letter.closing, _SIGNED)]
    body = "\n".join(f"<p>{each}</p>" for each in (*said, *button, *files, *closing))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(letter.subject)}</title></head>\n"
        f'<body style="font-family: sans-serif; max-width: 36em">\n{body}\n</body></html>\n'
    )


_SIGNED = settings.vendor_name
_BUTTON = "background: #1a56db; color: #fff; padding: 0.6em 1.2em; border-radius: 4px; text-decoration: none"


def _link(text: str, address: str, style: str = "") -> str:
    styled = f' style="{style}"' if style else ""
    return f'<a href="{escape(_address(address))}"{styled}>{escape(text)}</a>'


def _address(link: str) -> str:
    return settings.portal_url + link if link.startswith("/") else link
