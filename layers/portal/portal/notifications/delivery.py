"""Mailing: to whom, once each, with what attached.

SES cannot be asked whether it has sent a mail before, so each is claimed in the table before it is handed
over. What SES refused for certain is released and tried again. When the outcome is unknown (the function
died, the answer was late) the claim stays and the message ends in the dead-letter queue, where its alarm
calls somebody: nothing is mailed twice, and nothing is lost in silence. Delete the claim, the `MAILED#` item
that the log names, to have it sent again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from portal import keys
from portal.adapters import files, mail
from portal.billing.records import find_payment_details
from portal.change import Change
from portal.consumer import Work
from portal.distributors.records import get_distributor
from portal.errors import Conflict
from portal.identity import records as identity
from portal.identity import throttle
from portal.identity.actions import NewLink, renew_link
from portal.identity.email_changes import tenant_link
from portal.identity.rules import may_be_linked, permissions_at_home
from portal.journal import Activity, Entry
from portal.notifications import templates
from portal.notifications.messages import LinkWanted, MailWanted
from portal.notifications.records import Mailed, find_mailed
from portal.permissions import Permission
from portal.scope import EVERYTHING
from portal.settings import settings
from portal.table import Contended, Delete, Put, Update, Write, expiry, settled
from portal.telemetry import logger, metrics
from portal.tree import Node

LARGEST_ATTACHMENTS = 7_000_000
"""Bytes of all files of a mail together; as base64 they are a third more, and SES takes 10 MB."""
_LINKS = "links to"
_CLAIMS_KEPT_FOR = timedelta(days=400)


class OutcomeUnknown(Conflict):
    detail = "This mail was handed over before, and it is not known whether it went out."


@dataclass(frozen=True, slots=True)
class Enclosed:
    """The files of a mail: attached, or, where they are too large together, linked to."""

    attached: Sequence[mail.File] = ()
    links: Mapping[str, str] = field(default_factory=dict)


def recipients(wanted: MailWanted) -> list[str]:
    """Everybody who gets the mail, once.

    A bill goes where the payment details say and to those with `billing.notifications`; it covers every account of
    the distributor, so only to the ones who see all accounts. Where there is nobody, it goes to the distributor's
    own address.
    """
    node = Node.parse(wanted.node)
    named = list(wanted.to)
    if wanted.to_billing:
        details = find_payment_details(EVERYTHING, node)
        to_billing = [details.form["billing_email"]] if details else []
        to_billing += [user.email for user in identity.list_users(EVERYTHING, node) if _gets_bills(user)]
        named += to_billing or [get_distributor(EVERYTHING, node.distributor).email]
    return list({identity.folded(address): address for address in named}.values())


def _gets_bills(user: identity.User) -> bool:
    allowed = Permission.BILLING_NOTIFICATIONS in permissions_at_home(user, user.node)
    return user.state == "active" and not user.limited and allowed


def enclosed(wanted: MailWanted) -> Enclosed:
    """What goes with the mail.

    Raises:
        NoSuchFile: a file is not written yet; the message comes again.
    """
    fits = sum(files.size(each.key) for each in wanted.attach) <= LARGEST_ATTACHMENTS
    if fits and not _wants_links(wanted):
        return Enclosed([mail.File(each.name, files.read(each.key)) for each in wanted.attach])
    return Enclosed(links={each.name: settings.portal_url + each.link for each in wanted.attach})


def _wants_links(wanted: MailWanted) -> bool:
    """Whether the payment details say that bills come as links."""
    if not wanted.to_billing or not wanted.attach:
        return False
    details = find_payment_details(EVERYTHING, Node.parse(wanted.node))
    return details is not None and details.form["delivery"] == "link"


def deliver(work: Work, wanted: MailWanted, to: str, files_of_it: Enclosed) -> None:
    """Mail it to one recipient, unless they have it.

    Raises:
        NotSent: SES did not take it; the message comes again.
        OutcomeUnknown: see above.
    """
    prepared = settled(lambda: _claim(work, wanted, to))
    if prepared is None:
        return
    letter = prepared.letter
    text, html = (write(letter, files_of_it.links) for write in (templates.as_text, templates.as_html))
    try:
        ses_id = mail.send(to, letter.subject, text, html, files_of_it.attached)
    except mail.NotSent:
        work.commit(Delete(prepared.claim))
        _did_not_go(wanted, to)
        raise
    work.commit(Update(prepared.claim, Change(state="sent", ses_id=ses_id)))


@dataclass(frozen=True, slots=True)
class _Prepared:
    letter: templates.Letter
    claim: Mailed


def _claim(work: Work, wanted: MailWanted, to: str) -> _Prepared | None:
    node = Node.parse(wanted.node)
    mail_hash = hashlib.sha256(f"{wanted.dedupe}\n{identity.folded(to)}".encode()).hexdigest()
    known = find_mailed(EVERYTHING, node, mail_hash)
    if known is not None and known.state == "sent":
        return None
    if known is not None:
        raise OutcomeUnknown(f"{OutcomeUnknown.detail} Its claim is {known.sk} in {known.pk}")
    writes: list[Write] = []
    parameters: dict[str, Any] = dict(wanted.parameters)
    if wanted.link:
        link = _link(node, wanted.link, to, work.now)
        if link is None:
            return None
        if not _may_go(work, node, wanted.link, to):
            return None
        parameters["link"] = link.address
        writes = link.writes
    letter = templates.TEMPLATES[wanted.template](parameters)
    claim = _new_claim(node, mail_hash, wanted.template, work.now)
    try:
        work.commit(Put(claim, taken=OutcomeUnknown), *writes)
    except Contended:
        _did_not_go(wanted, to)
        raise
    return _Prepared(letter, claim)


def _may_go(work: Work, node: Node, wanted: LinkWanted, to: str) -> bool:
    """Count a mail to an address that nobody has confirmed, whatever asked for it; one too many is not sent, and the audit
    trail tells. Links for a forgotten password are counted by who asks.
    """
    if wanted.purpose == "password":
        return True
    try:
        throttle.attempt(_LINKS, identity.folded(to), *throttle.LINKS_TO_ONE_ADDRESS, work.now)
    except throttle.TooManyAttempts:
        logger.warning("mail not sent: too many to one address", extra={"node": str(node)})
        metrics.add_metric("MailThrottled", unit="Count", value=1)
        said = f"Mail to {to} not sent: too many for one hour"
        work.commit(audit=[Entry(Activity.NOTIFICATION, node, said, completed=False)])
        return False
    return True


def _did_not_go(wanted: MailWanted, to: str) -> None:
    """Take back what `_may_go` counted: the message comes again."""
    if wanted.link and wanted.link.purpose != "password":
        throttle.give_back(_LINKS, identity.folded(to))


def _link(node: Node, wanted: LinkWanted, to: str, at: datetime) -> NewLink | None:
    """What was true when the mail was asked for may be over: no link goes to an address that it no longer belongs to."""
    if identity.folded(wanted.email) != identity.folded(to):
        return None
    if wanted.purpose == "tenant_email":
        return tenant_link(node, to, at)
    user = identity.find_user(node, wanted.user_id)
    if user is None or not may_be_linked(user, wanted.purpose, to):
        return None
    return renew_link(user, wanted.purpose, to, at)


def _new_claim(node: Node, mail_hash: str, template: str, at: datetime) -> Mailed:
    return Mailed(
        keys.node(node),
        keys.mailed(mail_hash),
        state="sending",
        template=template,
        created_at=at,
        expires_at=expiry(at + _CLAIMS_KEPT_FOR),
    )
