"""Help for who has forgotten a password: nothing tells whether there is such a user, except the mail that it gets."""

from datetime import datetime, timedelta

from portal import ids, keys
from portal.identity import actions, records, rules, throttle
from portal.identity.records import User
from portal.journal import Message, OutboxMessage, waiting
from portal.notifications.messages import LinkWanted, mail
from portal.scope import Origin

_MAILS_TO_ONE_ADDRESS = throttle.Limit(5, timedelta(hours=1))


def throttled(email: str, origin: Origin) -> None:
    """Count one more mail asked for from where this comes from, and one more to this e-mail address.

    Raises:
        TooManyAttempts: there were too many.
    """
    to, at = _MAILS_TO_ONE_ADDRESS, throttle.OF_ONE_ADDRESS
    # In this order: who is throttled uses up nobody else's mails.
    throttle.attempt("forgotten at", throttle.place(origin), at.number, at.window, origin.at)
    throttle.attempt("forgotten of", records.folded(email), to.number, to.window, origin.at)


def forgotten(email: str, at: datetime) -> OutboxMessage:
    """What is stored when somebody has forgotten a password: the same whether or not there is a user, because only the
    worker that reads it looks.
    """
    asked_id = ids.new("ask", at)
    kept = records.kept(email)
    key = keys.password_forgotten(kept, asked_id)
    return waiting(key, "PasswordsForgotten", {"email": kept, "asked_id": asked_id}, at)


def answer(user: User, asked_id: str, now: datetime) -> list[Message]:
    """What is mailed to a user who has forgotten the password: a link, or how else to sign in; nothing while disabled.

    Whoever was invited is invited again, but not while the link that was mailed is good: anybody may ask, and another
    one would void it.
    """
    dedupe = f"password-forgotten {asked_id}"
    if user.state == "invited":
        invited_with = records.find_link(user.link_hash) if user.link_hash else None
        return [] if rules.is_good(invited_with, user, now) else [actions.invitation_mail(user, dedupe)]
    if user.state != "active":
        return []
    if user.sign_in_type != "email":
        parameters = {"name": user.name, "sign_in_type": user.sign_in_type}
        return [
            mail(user.node, to=[user.email], template="no_password", parameters=parameters, dedupe=dedupe)
        ]
    link = LinkWanted(user_id=user.user_id, purpose="password", email=user.email)
    return [
        mail(
            user.node,
            to=[user.email],
            template="password_reset",
            parameters={"name": user.name},
            dedupe=dedupe,
            link=link,
        )
    ]
