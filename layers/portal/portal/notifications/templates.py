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

_PROVIDERS = {"google": "Google", "microsoft": "Microsoft"}
_ONCE = "The link works once and for 24 hours."
_UNEXPECTED = "If you did not expect this mail, you can ignore it."


def invitation(given: Parameters) -> Letter:
    """To a new user: `name`, `sign_in_type`, and `link`, which is good for 24 hours."""
    provider = _PROVIDERS.get(given.get("sign_in_type", ""))
    then = f"; you then sign in with {provider}" if provider else " and choose a password to sign in"
    return Letter(
        f"Your access to the {settings.vendor_name} portal",
        (
            f"Hello {given['name']},",
            f"you have been given access to the {settings.vendor_name} portal. "
            f"Confirm your e-mail address{then}.",
        ),
        ("Confirm" if provider else "Confirm and choose a password", given["link"]),
        (_ONCE, _UNEXPECTED),
    )


def password_reset(given: Parameters) -> Letter:
    """To a user who has forgotten the password: `name`, and `link`, which is good for 24 hours."""
    return Letter(
        "Set a new password",
        (
            f"Hello {given['name']},",
            f"somebody asked for a new password for your access to the {settings.vendor_name} portal.",
        ),
        ("Choose a new password", given["link"]),
        (_ONCE, "If it was not you, you can ignore this mail: your password stays as it is."),
    )


def no_password(given: Parameters) -> Letter:
    """To a user who asked for a new password, but signs in with a provider: `name`, `sign_in_type`."""
    provider = _PROVIDERS[given["sign_in_type"]]
    return Letter(
        f"You sign in with {provider}",
        (
            f"Hello {given['name']},",
            f"somebody asked for a new password for your access to the {settings.vendor_name} portal. "
            f"You have none here: sign in with {provider}, which can also help with your password.",
        ),
        ("Sign in", "/sign-in"),
        (_UNEXPECTED,),
    )


def password_changed(given: Parameters) -> Letter:
    """To a user whose password was changed or reset: `name`, and `at`, with which `browser`, from which `address`."""
    return Letter(
        "Your password was changed",
        (
            f"Hello {given['name']},",
            f"the password of your access to the {settings.vendor_name} portal was changed on {given['at']} "
            f"with {given['browser']} from {given['address'] or 'an unknown address'}. "
            "Other sessions have been ended.",
        ),
        ("Open the portal", "/"),
        ("If it was not you, set a new password at once and tell your administrator.",),
    )


def two_factor_off(given: Parameters) -> Letter:
    """To a user whose two-factor authentication somebody else has turned off: `name`, and `by` whom."""
    return Letter(
        "Two-factor authentication was turned off",
        (
            f"Hello {given['name']},",
            f"{given['by']} has turned off two-factor authentication for your access to the "
            f"{settings.vendor_name} portal. Signing in asks for no code of an authenticator app any more.",
        ),
        ("Open the portal", "/"),
        ("If you did not ask for this, tell your administrator.",),
    )


_APP_CHANGES = {
    "Turned on two-factor authentication": (
        "Two-factor authentication was turned on",
        "Signing in asks for a code of your authenticator app from now on.",
    ),
    "Replaced the authenticator app": (
        "Your authenticator app was replaced",
        "Signing in asks for a code of the new one; the earlier app and its recovery codes are void.",
    ),
    "Turned off two-factor authentication": (
        "Two-factor authentication was turned off",
        "Signing in asks for no code of an authenticator app any more.",
    ),
}


def authenticator_changed(given: Parameters) -> Letter:
    """To a user who has changed the own two-factor authentication: `name`, `what` (as the audit trail tells it), and `at`,
    with which `browser`, from which `address`.
    """
    subject, then = _APP_CHANGES[given["what"]]
    return Letter(
        subject,
        (
            f"Hello {given['name']},",
            f"this was done for your access to the {settings.vendor_name} portal on {given['at']} "
            f"with {given['browser']} from {given['address'] or 'an unknown address'}. {then}",
        ),
        ("Open the portal", "/"),
        ("If it was not you, set a new password at once and tell your administrator.",),
    )


def password_expiring(given: Parameters) -> Letter:
    """To a user whose password expires soon: `name`, and the day, `expires_on`."""
    return Letter(
        f"Your password expires on {given['expires_on']}",
        (
            f"Hello {given['name']},",
            f"your password for the {settings.vendor_name} portal expires on {given['expires_on']} (UTC). "
            "Change it before then; afterwards you are asked for a new one when you sign in.",
        ),
        ("Change the password", "/me/password"),
    )


def email_confirmation(given: Parameters) -> Letter:
    """To a new address of a user or company (`name`): `link`, which is good for 24 hours."""
    return Letter(
        "Confirm your new e-mail address",
        (
            f"This address is to become the e-mail address of {given['name']} "
            f"in the {settings.vendor_name} portal.",
        ),
        ("Confirm the address", given["link"]),
        ("The link works once and for 24 hours. If you did not expect this mail, you can ignore it.",),
    )


def email_changed(given: Parameters) -> Letter:
    """To the `old` address, when a `new` one was asked for, and when that was `confirmed`."""
    if given["confirmed"]:
        subject, said = "Your e-mail address was changed", f"{given['old']} was replaced by {given['new']}"
    else:
        subject = "Your e-mail address is to be changed"
        said = f"{given['old']} is to be replaced by {given['new']} once that address is confirmed"
    return Letter(
        subject,
        (f"{said} in the {settings.vendor_name} portal.",),
        ("Open the portal", "/"),
        ("If you did not expect this, speak to your administrators at once.",),
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


def audit_export(given: Parameters) -> Letter:
    """To who asked for it: `requested_on`, `rows`, and `link` to the export in the portal."""
    return Letter(
        "Your export of the audit trail is ready",
        (
            f"The export of the audit trail that you asked for on {given['requested_on']} is ready. "
            f"It has {given['rows']} entries.",
        ),
        ("Open the export", given["link"]),
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
        "It is charged to your active credit card today; there is nothing you need to do. Should that fail, you are told, "
        f"and it is tried again until {given['due_on']}."
        if given["method"] == "credit_card"
        else f"Please pay it by {given['due_on']}, quoting its number."
    )
    return Letter(
        f"Your {what} {given['reference']}",
        (f"Your {what} {given['reference']} over {given['amount']} has been issued. {to_pay}",),
        (f"Open the {what}", f"/billing/history/{given['reference']}"),
    )


def charge_failed(given: Parameters) -> Letter:
    """To who gets billing mail: charging `amount` for the bill `reference` to the `card` (empty: there is none) has failed
    for that `reason`, and on which day it is tried next; None where that was the last time.
    """
    to = f"your card {given['card']}" if given["card"] else "your active card"
    then = (
        f"We try again on {given['next_try_on']}, or at once when you make another card the active one."
        if given["next_try_on"]
        else "That was the last time: the bill is overdue now. When you make another card the active one, it is tried once."
    )
    return Letter(
        f"Bill {given['reference']} could not be charged",
        (
            f"{given['amount']} for bill {given['reference']} could not be charged to {to}.",
            f"Reason: {given['reason']}",
            f"{then} You can also pay the bill on its page now.",
        ),
        ("Pay the bill", f"/billing/history/{given['reference']}"),
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


def books_held(given: Parameters) -> Letter:
    """To the vendor's operators who see to bills: the first of what was `found` wrong, `count` things in all, with the
    books of the `distributor`; without one, with the numbers of all bills.
    """
    whose = f"the books of {given['distributor']}" if given["distributor"] else "the numbers of bills"
    held = ("No bill of this distributor is issued, charged or reminded of until you release it.",)
    return Letter(
        f"Something is wrong with {whose}",
        (
            f"Reconciliation has found {given['count']} things wrong with {whose}:",
            *given["found"],
            *(held if given["distributor"] else ()),
        ),
        ("Open what is parked", "/operator/parked"),
    )


def payment_received(given: Parameters) -> Letter:
    """To who gets billing mail: that `amount` for the bill `reference` arrived on `received_on`, `paid_by` what; with what
    is still `owed` on the bill, and the `excess` that was more than that, if there is any. The receipt is attached.
    """
    owed = f"{given['owed']} is still owed on it." if given["owed"] else "Nothing is owed on it any more."
    kept = f"{given['excess']} of it is more than was owed. It pays your other bills, as your credit balance."
    for_bill = f"for bill {given['reference']} on {given['received_on']}"
    if given["paid_by"] == "credit balance":
        said = f"We have used {given['amount']} of your credit balance {for_bill}."
    else:
        said = f"We have received {given['amount']} {for_bill} ({given['paid_by']}). Thank you."
    return Letter(
        f"Payment received for bill {given['reference']}",
        (
            f"{said} {owed}",
            *([kept] if given["excess"] else []),
        ),
        ("Open the bill", f"/billing/history/{given['reference']}"),
    )


def plan_changed(given: Parameters) -> Letter:
    """To who gets billing mail: that an account (`account`, its name, and `email`) is on another `plan` from
    `effective_on` on; without a day, that it stays on its plan and a change that was agreed is taken back.
    """
    account = f"{given['account']} ({given['email']})"
    if given["effective_on"] is None:
        said = f"{account} stays on the {given['plan']} plan. The change that was agreed is taken back."
    else:
        said = f"{account} is on the {given['plan']} plan from {given['effective_on']} on."
    return Letter(f"The plan of {given['account']}", (said,), ("Open the billing status", "/billing/status"))


def ip_restrictions_changed(given: Parameters) -> Letter:
    """To a portal's administrators: `what` changed, `by` whom, from which `address` and when (`at`), and whether
    the restriction is `on` now.
    """
    return Letter(
        "The IP restrictions of your portal were changed",
        (
            f"{given['by']} changed the IP restrictions of your portal on {given['at']}, "
            f"from the address {given['address']}:",
            f"{given['what']}.",
            "The restriction is on: whoever comes from an address that no entry covers is refused."
            if given["on"]
            else "The restriction is off: users may come from any address.",
        ),
        ("Open the IP restrictions", "/security/ip-restrictions"),
        ("If you did not expect this, speak to your other administrators at once.",),
    )


def credit_note_issued(given: Parameters) -> Letter:
    """To who gets billing mail: that `amount` was taken off the bill `bill_reference`, and the `reason`; the credit note
    `reference` is attached.
    """
    return Letter(
        f"Credit note {given['reference']} for bill {given['bill_reference']}",
        (
            f"We have issued credit note {given['reference']}: {given['amount']} less is owed on bill "
            f"{given['bill_reference']}.",
            f"Reason: {given['reason']}",
        ),
        ("Open the bill", f"/billing/history/{given['bill_reference']}"),
    )


TEMPLATES: dict[str, Callable[[Parameters], Letter]] = {
    template.__name__: template
    for template in (
        invitation,
        email_confirmation,
        email_changed,
        password_reset,
        no_password,
        password_changed,
        two_factor_off,
        authenticator_changed,
        password_expiring,
        usage_report,
        audit_export,
        trial_expiring,
        trial_data_deletion,
        bill_issued,
        charge_failed,
        bill_reminder,
        books_held,
        payment_received,
        credit_note_issued,
        plan_changed,
        ip_restrictions_changed,
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
