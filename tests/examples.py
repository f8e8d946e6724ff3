"""A request for every operation that goes well: what the tests of all operations ask of each.

Whoever adds an operation adds its example here, if it takes a body, is about something new, or needs anything prepared.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyotp

from local.document import Operation
from portal import keys
from portal.accounts.records import list_all_accounts
from portal.audit.filters import AuditFilters
from portal.audit.records import new_export
from portal.change import Change
from portal.distributors.records import Distributor
from portal.identity import actions, authenticators, challenges
from portal.identity.records import User, find_user
from portal.reports.records import requested
from portal.scope import EVERYTHING, Caller, Origin
from portal.table import find, stage, write
from portal.tasks.records import Task
from portal.tree import Node, Tier
from tests.identity_provider import provider
from tests.principals import (
    HERE,
    PASSWORD,
    SPARE_KEY,
    TIERS,
    Neighbourhood,
    Principal,
    bystander,
    spare_entry,
)
from tests.trees import store
from tests.world import OPERATOR, Answer

NEW_PASSWORD = "three slow boats to the far shore"


@dataclass(frozen=True)
class Scene:
    """Somebody in the neighbourhood who is about to make a request."""

    home: Neighbourhood
    who: Principal

    @property
    def caller(self) -> Caller:
        who = self.who
        return Caller(
            kind="user",
            user_id=who.user_id,
            email=who.email,
            name=who.name,
            home=who.portal,
            portal=who.portal,
        )


Body = Mapping[str, Any] | Callable[[Scene], Mapping[str, Any]]


@dataclass(frozen=True)
class Example:
    """`prepare` makes true what the request needs; `ids` are for the path, besides the usual ones."""

    body: Body = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    form: Callable[[Scene], str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Scene], None] | None = None
    ids: Callable[[Scene], Mapping[str, str]] | None = None
    answers: tuple[int, str] | None = None
    """Status and code of the best answer there is to be had, where no request can go better."""
    because: str = ""
    elsewhere: tuple[int, str] | None = None
    """Of an open operation: what it answers when it comes from where the portal does not let its users come from."""
    silent_because: str = ""
    """Why the operation, though it changes something, leaves no audit entry."""


def _without_billing_method(scene: Scene) -> None:
    for tree in (scene.home.tree, scene.home.south):
        distributor = find(Distributor, keys.node(tree.distributor), keys.NODE)
        assert distributor is not None
        distributor.billing_method = None
        distributor.save()


def _expired_trial(scene: Scene) -> None:
    """Accounts that subscribe: both that a planted distributor has, and those beside them."""
    for account in list_all_accounts(EVERYTHING, scene.home.tree.distributor):
        if account.state == "subscribed":
            account.state, account.plan, account.subscribed_on = "trial", None, None
            account.trial_ends_at = scene.home.world.now.replace(day=20)
            account.save()


def _paused(scene: Scene) -> None:
    task = find(Task, keys.node(scene.home.tree.account), keys.task(scene.home.tree.task_id))
    assert task is not None
    task.state = "paused"
    task.save()


def _user(home: Node, user_id: str, **changes: Any) -> User:
    user = find_user(home, user_id)
    assert user is not None
    for name, value in changes.items():
        setattr(user, name, value)
    user.save()
    return user


_LINKED = "usr_bystander_distributor"


def _linked(purpose: str) -> Callable[[Scene], dict[str, str]]:
    """The token of a link that was mailed to somebody."""

    def token(scene: Scene) -> dict[str, str]:
        home = scene.home.tree.distributor
        user = _user(home, _LINKED, state="invited" if purpose == "invitation" else "active")
        link = actions.renew_link(user, purpose, user.email, scene.home.world.now)
        write([stage(each) for each in link.writes])
        return {"token": link.address.partition("#token=")[2]}

    return token


def _challenge(scene: Scene) -> dict[str, str]:
    """Of a browser that has come back from an identity provider."""
    who = scene.home.administrator(Tier.DISTRIBUTOR)
    user = _user(who.portal, who.user_id, sign_in_type="google")
    origin = Origin(scene.home.world.now, HERE, "Chrome")
    new = challenges.begin(user, "federated", origin, "google")
    write([stage(each) for each in new.writes])
    return {"challenge_token": new.token}


def _enrolled(scene: Scene) -> dict[str, str]:
    """The code of an authenticator app that was begun to be set up."""
    if not scene.who.user_id:
        return {"code": "123456"}
    user, now = _user(scene.who.portal, scene.who.user_id), scene.home.world.now
    enrolment = authenticators.enrolment(user)
    write([stage(actions.credentials_of(user, Change(totp_begun=enrolment.sealed)))])
    return {"code": pyotp.TOTP(enrolment.shown.secret).at(now)}


def _with_second_factor(scene: Scene) -> None:
    if scene.who.user_id:
        _user(scene.who.portal, scene.who.user_id, two_factor=True)


def _unconfirmed(scene: Scene) -> None:
    if scene.who.tier in TIERS:
        home = scene.home.portals[scene.who.tier]
        _user(home, bystander(scene.who.tier), state="invited")


def _new_user(scene: Scene) -> dict[str, Any]:
    seen = [] if scene.who.limited else "all"
    return {"email": "new@people.example.com", "name": "New", "role": "custom", "accessible_accounts": seen}


def _credit_note(scene: Scene) -> Mapping[str, str]:
    note = scene.home.world.call(
        "operators.create_credit_note",
        OPERATOR,
        path={"reference": scene.home.tree.reference},
        body={"reason": "Too much", "all": True},
    )
    return {"reference": note.json["reference"]}


def _payment(scene: Scene) -> Mapping[str, str]:
    transfer = {"amount": "1.00", "currency": "USD", "received_on": "2023-01-10"}
    path = {"reference": scene.home.tree.reference}
    payment = scene.home.world.call("operators.record_payment", OPERATOR, path=path, body=transfer)
    return {"payment_id": payment.json["payment_id"]}


def usual_ids(scene: Scene) -> dict[str, str]:
    """A thing of the tree, or of the portal of who asks, for every name of a path parameter."""
    home, tree = scene.home, scene.home.tree
    owner = home.administrator(scene.who.tier) if scene.who.stranger or scene.who.is_engine else scene.who
    return {
        "distributor_id": tree.distributor.distributor,
        "partner_id": tree.partner.partner,
        "account_id": tree.account.account,
        "task_id": tree.task_id,
        "reference": tree.reference,
        "parked_id": tree.parked_id,
        "report_id": tree.reports.get(owner.portal, "rep_none"),
        "entry_id": spare_entry(owner.portal),
        "export_id": "aex_none",
        "payment_id": "pay_none",
        "session_id": owner.session_id or "ses_none",
        "user_id": bystander(owner.tier),
        "client_id": SPARE_KEY[owner.tier],
        "card_id": home.cards[tree.distributor],
        "provider": "google",
        "proxy": "v1/nowhere",
    }


def _asker(scene: Scene) -> Scene:
    """Who owns what is asked for: who asks, unless that is a stranger."""
    return replace(scene, who=scene.home.administrator(scene.who.tier)) if scene.who.stranger else scene


def _own_report(scene: Scene) -> Mapping[str, str]:
    report = requested(_asker(scene).caller, {"filters": {}}, "link", scene.home.world.now)
    store(report)
    return {"report_id": report.report_id}


def _own_export(scene: Scene) -> Mapping[str, str]:
    export = new_export(_asker(scene).caller, AuditFilters(), scene.home.world.now)
    store(export)
    return {"export_id": export.export_id}


def _sign_in(scene: Scene) -> dict[str, str]:
    return {"email": scene.home.administrator(Tier.DISTRIBUTOR).email, "password": PASSWORD}


def _refresh(scene: Scene) -> str:
    token = scene.home.administrator(Tier.DISTRIBUTOR).refresh_token
    return f"grant_type=refresh_token&refresh_token={token}"


_DENIED = (403, "access_denied")

EXAMPLES: dict[str, Example] = {
    # accounts
    "change_account": Example({"name": "Renamed"}),
    "create_account": Example({"name": "New Account", "email": "new-account@example.com"}),
    "remove_account": Example({"approve_data_removal": True}),
    # audit
    "get_audit_export": Example(ids=_own_export),
    "request_audit_export": Example({"status": "failed"}),
    # billing
    "choose_billing_method": Example({"method": "invoice"}, prepare=_without_billing_method),
    "set_payment_details": Example(
        {
            "currency": "USD",
            "payment_day": 1,
            "title": "Ms",
            "first_name": "Nora",
            "last_name": "North",
            "billing_email": "bills@north.example.com",
            "company": "North Distribution",
            "address_line_1": "1 Harbour Street",
            "country": "LU",
            "city": "Luxembourg",
            "postal_code": "1234",
            "phone": "+352 20 20 20",
        }
    ),
    "get_credit_note_pdf": Example(ids=_credit_note),
    "get_receipt": Example(ids=_payment),
    # engine
    "report_events": Example(
        {"events": [{}]}, silent_because="the engine reports what it saw; nobody decided anything"
    ),
    # identity
    "add_ip_entry": Example({"addresses": "192.0.2.7, 2001:db8::7", "description": "Branch"}),
    "answer_challenge": Example(_challenge, elsewhere=_DENIED),
    "begin_totp": Example(
        silent_because="an authenticator app counts for nothing before a code has proved it"
    ),
    "change_ip_entry": Example({"description": "Moved"}),
    "change_password": Example({"current": PASSWORD, "new": NEW_PASSWORD, "confirmation": NEW_PASSWORD}),
    "change_user": Example({"name": "Renamed"}),
    "confirm_email": Example(
        lambda scene: {**_linked("invitation")(scene), "password": NEW_PASSWORD}, elsewhere=_DENIED
    ),
    "confirm_totp": Example(_enrolled),
    "create_api_key": Example({"name": "Scripts"}),
    "create_user": Example(_new_user),
    "forget_password": Example(
        lambda scene: {"email": scene.home.administrator(Tier.DISTRIBUTOR).email},
        silent_because="it is the same for addresses that nobody has; following the link is audited",
    ),
    "issue_token": Example(
        form=_refresh, elsewhere=_DENIED, silent_because="the sign-in that it goes on from was audited"
    ),
    "remove_totp": Example({"password": PASSWORD}, prepare=_with_second_factor),
    "resend_confirmation": Example(prepare=_unconfirmed),
    "reset_password": Example(
        lambda scene: {**_linked("password")(scene), "new": NEW_PASSWORD, "confirmation": NEW_PASSWORD},
        elsewhere=_DENIED,
    ),
    "set_security_policy": Example({"password_expires_after_days": 90, "two_factor_required": False}),
    "sign_in": Example(_sign_in, elsewhere=_DENIED),
    "sign_out": Example(silent_because="it gives nothing to anybody"),
    "start_provider_sign_in": Example(
        prepare=lambda scene: provider(scene.home.world, scene.home.harness, "google")
    ),
    "switch_ip_restrictions": Example({"enabled": False}),
    # meta
    "refuse_unknown": Example(answers=(404, "not_found"), because="it only ever refuses"),
    # operators
    "change_distributor": Example({"name": "Renamed"}),
    "change_plan": Example({"plan": "annual"}),
    "create_credit_note": Example({"reason": "Too much", "all": True}),
    "create_distributor": Example(
        {"name": "West Distribution", "email": "office@west.example.com", "country": "Luxembourg"}
    ),
    "record_payment": Example({"amount": "2.34", "currency": "USD", "received_on": "2023-01-10"}),
    "set_billing_method": Example({"method": "credit_card"}),
    "set_prices": Example(
        {
            "currency": "USD",
            "effective_on": "2023-02-01",
            "services": {"box": {"monthly": "3.00", "annual": "30.00"}},
        }
    ),
    # partners
    "change_partner": Example({"name": "Renamed"}),
    "create_partner": Example(
        {"name": "New Partner", "email": "new-partner@example.com", "country": "Luxembourg"}
    ),
    "remove_partner": Example(ids=lambda scene: {"partner_id": scene.home.empty_partner.partner}),
    # payments
    "take_provider_event": Example(
        answers=(400, "forged_webhook"), because="only the payment provider signs what it tells"
    ),
    # reports
    "get_report": Example(ids=_own_report),
    "request_usage_report": Example({"filters": {}}),
    # settings
    "change_account_settings": Example({"phone": "+352 20 20 20"}),
    # subscriptions
    "set_default_subscription": Example({"mode": "trial_with_expiration"}),
    "subscribe_accounts": Example({"plan": "monthly", "accounts": "all"}, prepare=_expired_trial),
    # tasks
    "activate_tasks": Example(lambda scene: {"task_ids": [scene.home.tree.task_id]}, prepare=_paused),
    "change_task": Example({"name": "Renamed"}),
    "create_task": Example({"service": "box", "name": "Files", "protect": {"scope": "all"}}),
    "pause_tasks": Example(lambda scene: {"task_ids": [scene.home.tree.task_id]}),
}


def example_of(operation: Operation) -> Example:
    """The operation's example.

    Raises:
        AssertionError: it needs one and has none.
    """
    declaration = operation.declaration
    example = EXAMPLES.get(operation.name, Example())
    if declaration.body and not (example.body or example.form):
        raise AssertionError(
            f"{operation.name} takes a body: add to EXAMPLES in tests/examples.py\n"
            f'    "{operation.name}": Example({{...a valid {declaration.body.__name__}...}})'
        )
    return example


def request_of(
    scene: Scene, operation: Operation, ids: Mapping[str, str] | None = None, **instead: Any
) -> dict[str, Any]:
    """The example's request as this principal makes it, when all that it needs has been prepared: arguments of
    `World.request`. `ids` replace those of the path, `instead` parts of the request.

    Raises:
        AssertionError: there is no id for a parameter of the path.
    """
    example, who = example_of(operation), scene.who
    if example.prepare:
        example.prepare(scene)
    known = {**usual_ids(scene), **(example.ids(scene) if example.ids else {}), **(ids or {})}
    wanted = [*operation.parameters, *(["proxy"] if "{proxy+}" in operation.path else [])]
    if missing := [name for name in wanted if name not in known]:
        raise AssertionError(
            f"{operation.name} is about {missing}: add an id of such a thing to usual_ids in tests/examples.py, "
            "and plant the thing in tests/principals.py"
        )
    body = example.body(scene) if callable(example.body) else example.body
    asked: dict[str, Any] = {
        "body": dict(body) if operation.declaration.body and not example.form else None,
        "form": example.form(scene) if example.form else None,
        "query": dict(example.query) or None,
        "path": {name: known[name] for name in wanted} or None,
        "headers": dict(example.headers),
        "address": who.address,
    }
    return {**asked, **instead}


def ask(
    scene: Scene,
    operation: Operation,
    ids: Mapping[str, str] | None = None,
    begin: Callable[[], object] = lambda: None,
    **instead: Any,
) -> Answer:
    """Make the example's request as this principal; see `request_of`. `begin` is called when all is prepared."""
    asked = request_of(scene, operation, ids, **instead)
    begin()
    return scene.home.world.request(f"{operation.domain}.{operation.name}", scene.who.token, **asked)
