"""What tests arrange with: things made by ordinary operations, people by their mails."""

import re
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_string
from email.message import EmailMessage
from email.policy import default
from itertools import count
from typing import Any

import pyotp
from moto.ses.models import ses_backends

from portal import keys
from portal.accounts.records import Account, get_account_at, where_listed
from portal.journal import AuditEntry
from portal.scope import EVERYTHING, Caller
from portal.table import query
from portal.tree import Node
from tests.world import OPERATOR, World, administrator

PASSWORD = "a long walk on a grey morning"


@dataclass(frozen=True)
class Mail:
    """A mail as its recipient sees it."""

    to: str
    subject: str
    text: str
    html: str
    files: dict[str, bytes]


def sent_mails() -> list[Mail]:
    """Every mail that SES took, oldest first."""
    return [_read(sent.raw_data) for sent in ses_backends["123456789012"]["eu-central-1"].sent_messages]


def _read(raw: str) -> Mail:
    message: Any = message_from_string(raw, _class=EmailMessage, policy=default)
    return Mail(
        to=message["To"],
        subject=message["Subject"],
        text=message.get_body(("plain",)).get_content(),
        html=message.get_body(("html",)).get_content(),
        files={part.get_filename(): part.get_payload(decode=True) for part in message.iter_attachments()},
    )


def deliver_mail(world: World) -> list[Mail]:
    """Let the outbox and the mail worker do what is waiting; returns what they sent."""
    before = len(sent_mails())
    world.stream("notifications.deliver_outbox")
    world.work("notifications.on_mail_wanted", "Mail")
    return sent_mails()[before:]


def link_in(mail: Mail) -> str:
    """The token of the one-time link in a mail."""
    found = re.search(r"/(?:confirm-email|reset-password)#token=(\S+)", mail.text)
    assert found, mail.text
    return found[1]


def a_distributor(world: World, email: str = "office@north.example.com", **terms: Any) -> Node:
    """A distributor as an operator creates it."""
    body = {"name": "North Distribution", "email": email, "country": "Luxembourg", **terms}
    answer = world.call("operators.create_distributor", OPERATOR, body=body)
    assert answer.status == 201, answer.text
    return Node(answer.json["distributor_id"])


def a_partner(
    world: World, distributor: Node, email: str = "jacob@anderson.example.com", **values: Any
) -> Node:
    """A partner as its distributor creates it."""
    body = {"name": "Jacob Anderson", "email": email, "country": "Israel", **values}
    answer = world.call("partners.create_partner", administrator(distributor), body=body)
    assert answer.status == 201, answer.text
    return distributor.child(answer.json["id"])


_addresses = (f"person.{number}@example.com" for number in count(1))


def an_email() -> str:
    """An address that nobody has yet."""
    return next(_addresses)


def an_account(world: World, portal: Node, **values: Any) -> Node:
    """An account as its partner creates it, or its distributor a direct one."""
    body = {"name": "Rosy White", "email": an_email(), **values}
    answer = world.call("accounts.create_account", administrator(portal), body=body)
    assert answer.status == 201, answer.text
    return where_listed(portal).child(answer.json["account_id"])


def a_backup_task(world: World, account: Node, *, active: bool = True, **values: Any) -> str:
    """The id of a backup task as the customer creates and activates it."""
    customer, path = administrator(account), {"account_id": account.account}
    body = {"service": "microsoft_365_exchange", "name": "Mail", **values}
    created = world.call("tasks.create_task", customer, path=path, body=body)
    assert created.status == 201, created.text
    task_id: str = created.json["task_id"]
    if active:
        switched = world.call("tasks.activate_tasks", customer, path=path, body={"task_ids": [task_id]})
        assert switched.json["results"][0]["result"] == "activated", switched.text
    return task_id


def the_account(node: Node) -> Account:
    """What is stored of an account."""
    return get_account_at(EVERYTHING, node)


def confirm(world: World, email: str, password: str = PASSWORD) -> None:
    """Let an invited user follow the link that was mailed."""
    invitation = next(mail for mail in reversed([*sent_mails(), *deliver_mail(world)]) if mail.to == email)
    body = {"token": link_in(invitation), "password": password}
    answer = world.call("identity.confirm_email", body=body)
    assert answer.status == 204, answer.text


def forget_password(world: World, email: str) -> list[Mail]:
    """Let somebody say that the password of this address is forgotten; returns what was mailed."""
    deliver_mail(world)
    answer = world.call("identity.forget_password", body={"email": email})
    assert answer.status == 204, answer.text
    world.stream("notifications.deliver_outbox")
    world.work("identity.on_password_forgotten", "PasswordsForgotten")
    return deliver_mail(world)


def sign_in(world: World, email: str, password: str = PASSWORD) -> dict[str, Any]:
    """The tokens that somebody gets who signs in."""
    answer = world.call("identity.sign_in", body={"email": email, "password": password})
    assert answer.status == 200, answer.text
    tokens: dict[str, Any] = answer.json
    return tokens


def code_of(world: World, secret: str, *, steps: int = 0) -> str:
    """The code that an authenticator app shows now, or some time steps of 30 seconds later."""
    return pyotp.TOTP(secret).at(world.now + timedelta(seconds=30 * steps))


def an_authenticator(world: World, email: str) -> tuple[str, list[str]]:
    """The secret of an app that somebody has just turned on, whose present code is used up, and the recovery codes."""
    caller = bearer(world, sign_in(world, email)["access_token"])
    secret: str = world.call("identity.begin_totp", caller).json["secret"]
    answer = world.call("identity.confirm_totp", caller, body={"code": code_of(world, secret)})
    assert answer.status == 200, answer.text
    return secret, answer.json["recovery_codes"]


def sign_in_with_code(world: World, email: str, secret: str, password: str = PASSWORD) -> dict[str, Any]:
    """The tokens that somebody gets who signs in with a code too: the next one, so time goes on by 30 seconds."""
    world.advance(seconds=30)
    challenge = world.call("identity.sign_in", body={"email": email, "password": password}).json
    body = {"challenge_token": challenge["challenge_token"], "code": code_of(world, secret)}
    answer = world.call("identity.answer_challenge", body=body)
    assert answer.status == 200, answer.text
    tokens: dict[str, Any] = answer.json
    return tokens


def an_api_key(world: World, owner: Caller, name: str = "Reporting") -> dict[str, Any]:
    """An API key that somebody has made, with its `client_id` and `client_secret`."""
    answer = world.call("identity.create_api_key", owner, body={"name": name})
    assert answer.status == 201, answer.text
    key: dict[str, Any] = answer.json
    return key


def client_tokens(world: World, key: dict[str, Any]) -> dict[str, Any]:
    """The tokens that an API key gets."""
    form = f"grant_type=client_credentials&client_id={key['client_id']}&client_secret={key['client_secret']}"
    answer = world.call("identity.issue_token", form=form)
    assert answer.status == 200, answer.text
    tokens: dict[str, Any] = answer.json
    return tokens


def bearer(world: World, access_token: str, address: str = "198.51.100.7") -> Caller:
    """Who the authorizer says shows this access token, from this IP address."""
    event = {
        "type": "REQUEST",
        "methodArn": "arn:aws:execute-api:eu-central-1:123456789012:api/live/GET/v1/me",
        "headers": {"Authorization": f"Bearer {access_token}"},
        "requestContext": {"identity": {"sourceIp": address}},
    }
    return Caller.from_context(world.handler("identity.authorize")(event, world.context)["context"])


def a_user_of(world: World, portal: Node, *, by: Caller | None = None, **values: Any) -> Caller:
    """A user of a portal as its administrator creates it, who has confirmed the address and signed in."""
    body = {"email": an_email(), "name": "Robin Green", "role": "administrator", **values}
    answer = world.call("identity.create_user", by or administrator(portal), body=body)
    assert answer.status == 201, answer.text
    confirm(world, body["email"])
    return bearer(world, sign_in(world, body["email"])["access_token"])


def audit_trail(portal: Node) -> list[tuple[str, str]]:
    """Activity and description of what is on record in a portal, in order of the alphabet: the clock stands still."""
    first, _ = keys.audit_range(None, None)
    return sorted((each.activity, each.description) for each in query(AuditEntry, keys.node(portal), first))
