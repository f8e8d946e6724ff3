"""What tests arrange with: things made by ordinary operations, people by their mails."""

import re
from dataclasses import dataclass
from email import message_from_string
from email.message import EmailMessage
from email.policy import default
from itertools import count
from typing import Any

from moto.ses.models import ses_backends

from portal.accounts.records import Account, get_account_at, where_listed
from portal.scope import EVERYTHING, Caller
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
    """The token of the one-time link in an invitation."""
    found = re.search(r"/confirm-email#token=(\S+)", mail.text)
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


def sign_in(world: World, email: str, password: str = PASSWORD) -> dict[str, Any]:
    """The tokens that somebody gets who signs in."""
    answer = world.call("identity.sign_in", body={"email": email, "password": password})
    assert answer.status == 200, answer.text
    tokens: dict[str, Any] = answer.json
    return tokens


def bearer(world: World, access_token: str) -> Caller:
    """Who the authorizer says shows this access token."""
    event = {
        "type": "REQUEST",
        "methodArn": "arn:aws:execute-api:eu-central-1:123456789012:api/live/GET/v1/me",
        "headers": {"Authorization": f"Bearer {access_token}"},
    }
    return Caller.from_context(world.handler("identity.authorize")(event, world.context)["context"])
