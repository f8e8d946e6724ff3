from dataclasses import replace
from typing import Any

import boto3
import pytest

from portal import keys
from portal.adapters import files
from portal.identity import tokens
from portal.identity.records import User, list_users
from portal.journal import AuditEntry
from portal.notifications.delivery import LARGEST_ATTACHMENTS
from portal.notifications.messages import LinkWanted, mail
from portal.permissions import Permission
from portal.scope import EVERYTHING
from portal.table import query
from portal.tree import Node
from tests.builders import a_distributor, confirm, deliver_mail, link_in, sent_mails
from tests.support.backend import all_images
from tests.support.faults import Call, Fault
from tests.support.harness import EVERY_CRASH, Harness
from tests.trees import a_user, store
from tests.world import World, administrator

NODE = Node("dst_1", "prt_1")
REPORT = {"requested_on": "2023-01-10", "rows": 12, "link": "/reports/rep_1"}


def report(*to: str, node: Node = NODE, **values: Any) -> dict[str, Any]:
    """The body of a message that wants a mail about a report."""
    return mail(node, to=to, template="usage_report", parameters=REPORT, **values).body


def deliver(world: World, message: dict[str, Any]) -> list[str]:
    """Hand a message to the worker; returns whom it mailed."""
    before = len(sent_mails())
    world.deliver("notifications.on_mail_wanted", message)
    return [sent.to for sent in sent_mails()[before:]]


def taken(world: World, message: dict[str, Any]) -> bool:
    """Whether the worker is done with the message."""
    try:
        world.deliver("notifications.on_mail_wanted", message)
    except AssertionError:
        return False
    return True


def test_a_mail_is_text_and_html_with_a_link_to_the_portal(world: World) -> None:
    deliver(world, report("a@example.com"))
    [sent] = sent_mails()
    assert (sent.to, sent.subject) == ("a@example.com", "Your usage report is ready")
    assert "https://portal.example.com/reports/rep_1" in sent.text
    assert 'href="https://portal.example.com/reports/rep_1"' in sent.html
    assert "It has 12 rows." in sent.text
    assert "It has 12 rows." in sent.html


def test_what_users_wrote_is_text_in_every_part(world: World) -> None:
    name = "<b>Eve</b> & Co\r\nBcc: victim@example.com"
    message = mail(NODE, to=["a@example.com"], template="invitation", parameters={"name": name, "link": "/x"})
    deliver(world, message.body)
    [sent] = sent_mails()
    assert "&lt;b&gt;Eve&lt;/b&gt; &amp; Co" in sent.html
    assert "<b>Eve</b> & Co" in sent.text
    assert sent.to == "a@example.com"


def test_everybody_gets_a_mail_of_their_own_and_nobody_two(world: World) -> None:
    message = report("a@example.com", "B@example.com", "b@Example.com ")
    assert deliver(world, message) == ["a@example.com", "b@Example.com"]
    assert deliver(world, message) == []


def test_nobody_is_mailed_twice_about_the_same(world: World) -> None:
    assert deliver(world, report("a@example.com", dedupe="bill 1")) == ["a@example.com"]
    assert deliver(world, report("A@example.com", "b@example.com", dedupe="bill 1")) == ["b@example.com"]
    assert deliver(world, report("a@example.com", dedupe="bill 2")) == ["a@example.com"]
    assert deliver(world, report("a@example.com", node=Node("dst_2"), dedupe="bill 1")) == ["a@example.com"]
    assert deliver(world, report("a@example.com")) == ["a@example.com"]


def test_a_domain_beyond_ascii_is_written_as_mail_wants_it(world: World) -> None:
    assert deliver(world, report("a@bücher.example.com")) == ["a@xn--bcher-kva.example.com"]


class TestBills:
    """Mails to those who get a distributor's billing notifications."""

    @pytest.fixture
    def distributor(self, world: World) -> Node:
        node = a_distributor(world)
        deliver_mail(world)
        return node

    def add(
        self, world: World, distributor: Node, name: str, *permissions: Permission, **values: Any
    ) -> None:
        caller = replace(
            administrator(distributor, f"usr_{name}", f"{name}@example.com"),
            permissions=frozenset(permissions),
        )
        accessible = values.pop("accessible", None)
        user = a_user(caller, world.now, accessible=accessible)
        for attribute, value in values.items():
            setattr(user, attribute, value)
        store(user)

    def test_they_go_to_active_users_with_the_permission_who_see_all(
        self, world: World, distributor: Node
    ) -> None:
        confirm(world, "office@north.example.com")
        self.add(world, distributor, "billing", Permission.BILLING_NOTIFICATIONS)
        self.add(world, distributor, "support", Permission.SUPPORT_USE)
        self.add(world, distributor, "disabled", Permission.BILLING_NOTIFICATIONS, state="disabled")
        self.add(world, distributor, "limited", Permission.BILLING_NOTIFICATIONS, accessible=["prt_1"])
        mailed = deliver(world, report(node=distributor, to_billing=True))
        assert sorted(mailed) == ["billing@example.com", "office@north.example.com"]

    def test_without_any_of_them_they_go_to_the_distributors_address(
        self, world: World, distributor: Node
    ) -> None:
        assert deliver(world, report(node=distributor, to_billing=True)) == ["office@north.example.com"]

    def test_named_recipients_get_them_as_well(self, world: World, distributor: Node) -> None:
        message = report("extra@example.com", node=distributor, to_billing=True)
        assert deliver(world, message) == ["extra@example.com", "office@north.example.com"]


class TestAttachments:
    """Files of the bucket."""

    ATTACH = (
        {"key": "reports/a.csv", "name": "a.csv", "link": "/reports/rep_1"},
        {"key": "bills/b.pdf", "name": "b.pdf"},
    )

    def test_files_are_attached_up_to_the_limit(self, world: World) -> None:
        files.put("reports/a.csv", b"a,b\r\n", "text/csv")
        files.put("bills/b.pdf", b"x" * (LARGEST_ATTACHMENTS - 5), "application/pdf")
        deliver(world, report("a@example.com", attach=self.ATTACH))
        [sent] = sent_mails()
        assert {name: len(data) for name, data in sent.files.items()} == {
            "a.csv": 5,
            "b.pdf": LARGEST_ATTACHMENTS - 5,
        }

    def test_beyond_it_the_mail_links_to_them(self, world: World) -> None:
        files.put("reports/a.csv", b"a,b\r\n", "text/csv")
        files.put("bills/b.pdf", b"x" * (LARGEST_ATTACHMENTS - 4), "application/pdf")
        deliver(world, report("a@example.com", attach=self.ATTACH))
        [sent] = sent_mails()
        assert sent.files == {}
        assert "a.csv:\nhttps://portal.example.com/reports/rep_1\n" in sent.text
        assert '<a href="https://portal.example.com">b.pdf</a>' in sent.html

    def test_a_file_that_is_not_written_yet_is_waited_for(self, world: World) -> None:
        message = report("a@example.com", attach=[{"key": "bills/late.pdf", "name": "late.pdf"}])
        assert not taken(world, message)
        assert sent_mails() == []
        files.put("bills/late.pdf", b"%PDF", "application/pdf")
        assert deliver(world, message) == ["a@example.com"]


class TestInvitations:
    """Mails with a one-time link."""

    def test_who_confirmed_in_the_meantime_gets_no_further_link(self, world: World) -> None:
        a_distributor(world)
        world.stream("notifications.deliver_outbox")
        [message] = world.messages("Mail")
        deliver(world, message)
        confirm(world, "office@north.example.com")
        assert deliver(world, message | {"dedupe": "again"}) == []

    def test_who_is_gone_gets_none(self, world: World) -> None:
        assert deliver(world, invitation(NODE, "usr_x", "a@example.com")) == []

    def test_a_link_goes_nowhere_but_to_the_address_that_it_proves(self, world: World) -> None:
        user = invited_user(world)
        home, user_id = user.node, user.user_id
        user.update(actions=[User.email.set("right@example.com")])
        for wanted in (
            invitation(home, user_id, "office@north.example.com"),
            invitation(home, user_id, "right@example.com") | {"to": ["wrong@example.com"]},
            invitation(home, user_id, "right@example.com", purpose="password"),
            invitation(home, user_id, "right@example.com", purpose="email"),
            invitation(NODE, user_id, "right@example.com"),
        ):
            assert deliver(world, wanted) == []
        assert deliver(world, invitation(home, user_id, "Right@example.com")) == ["Right@example.com"]

    def test_its_secret_is_only_in_the_mail(self, world: World) -> None:
        user = invited_user(world)
        deliver(world, invitation(user.node, user.user_id, user.email))
        secret = link_in(sent_mails()[-1])
        stored = str(all_images("eu-central-1"))
        assert tokens.hashed(secret) in stored
        assert secret not in stored


def invited_user(world: World) -> User:
    [user] = query(User, keys.node(a_distributor(world)), keys.user())
    return user


def invitation(home: Node, user_id: str, email: str, purpose: str = "invitation") -> dict[str, Any]:
    """The body of a message that wants an invitation mailed."""
    link = LinkWanted.model_validate({"user_id": user_id, "purpose": purpose, "email": email})
    return mail(home, to=[email], template="invitation", parameters={"name": "A"}, link=link).body


class TestFailures:
    """SES refuses, or nobody knows what became of it."""

    def test_what_ses_refused_is_sent_when_the_message_comes_again(self, world: World) -> None:
        ses = boto3.client("ses")
        ses.delete_identity(Identity="portal@example.com")
        message = report("a@example.com", "b@example.com")
        assert not taken(world, message)
        ses.verify_email_identity(EmailAddress="portal@example.com")
        assert deliver(world, message) == ["a@example.com", "b@example.com"]

    def test_one_address_that_fails_does_not_keep_it_from_the_others(
        self, world: World, harness: Harness
    ) -> None:
        message = report("a@example.com", "b@example.com")
        harness.fail(kind=Fault.THROTTLING, match=sends_mail)
        assert not taken(world, message)
        assert [sent.to for sent in sent_mails()] == ["b@example.com"]
        assert deliver(world, message) == ["a@example.com"]

    def test_an_unknown_outcome_is_never_mailed_again_and_never_forgotten(
        self, world: World, harness: Harness
    ) -> None:
        message = report("a@example.com")
        harness.fail(kind=Fault.TIMEOUT_AFTER, match=sends_mail)
        assert not taken(world, message)
        assert not taken(world, message)
        assert [sent.to for sent in sent_mails()] == ["a@example.com"]

    def test_wherever_the_worker_dies_nobody_is_mailed_twice(self, world: World, harness: Harness) -> None:
        a_distributor(world)
        world.stream("notifications.deliver_outbox")
        [message] = world.messages("Mail")

        states = set()
        for run in harness.sweep(lambda: taken(world, message), EVERY_CRASH):
            done = taken(world, message)
            states.add((len(sent_mails()), done))
            # It went out once, or the message waits for somebody to look at it.
            assert (len(sent_mails()), done) in ((1, True), (0, False), (1, False)), run
        assert len(states) == 3


def sends_mail(call: Call) -> bool:
    return call.name == "sesv2.SendEmail"


class TestMailsToStrangers:
    """Addresses that nobody has confirmed, whatever has them mailed."""

    VICTIM = "victim@elsewhere.example"

    def test_go_to_one_address_five_times_an_hour(self, world: World) -> None:
        distributor = a_distributor(world)
        by = administrator(distributor)
        deliver_mail(world)
        for _ in range(7):
            for email in (self.VICTIM, "office@north.example.com"):
                body = {"email": email}
                assert world.call("settings.change_account_settings", by, body=body).status == 200
                if email == self.VICTIM:
                    deliver_mail(world)
        assert [sent.to for sent in sent_mails()].count(self.VICTIM) == 5
        refused = [
            each for each in query(AuditEntry, keys.node(distributor), "AUDIT#") if each.status == "failed"
        ]
        said = f"Mail to {self.VICTIM} not sent: too many for one hour"
        assert [(each.activity, each.description) for each in refused] == [("notification", said)] * 2
        world.advance(hours=1)
        world.call("settings.change_account_settings", by, body={"email": self.VICTIM})
        assert self.VICTIM in [sent.to for sent in deliver_mail(world)]

    def test_what_did_not_go_is_not_counted(self, world: World, harness: Harness) -> None:
        distributor = a_distributor(world)
        [wanted] = list_users(EVERYTHING, distributor)
        message = invitation(distributor, wanted.user_id, wanted.email)
        for _ in range(6):
            harness.fail(kind=Fault.THROTTLING, match=sends_mail)
            assert not taken(world, message)
        assert deliver(world, message) == [wanted.email]

    def test_many_accounts_can_be_added_at_once(self, world: World) -> None:
        distributor = a_distributor(world)
        deliver_mail(world)
        for number in range(8):
            body = {"name": f"Customer {number}", "email": f"customer{number}@example.com"}
            answer = world.call("accounts.create_account", administrator(distributor), body=body)
            assert answer.status == 201
        assert len(deliver_mail(world)) == 8
