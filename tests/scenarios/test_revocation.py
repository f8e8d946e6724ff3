"""After a revocation the very next request is refused: with tokens that were given out before it.

Every test signs people in for real, shows that their token works, takes away what it stands on through an ordinary
operation, and shows it again.
"""

from dataclasses import dataclass
from typing import Any

import pyotp
import pytest

from portal.tree import Node
from tests.builders import (
    PASSWORD,
    a_distributor,
    a_partner,
    an_account,
    confirm,
    deliver_mail,
    sent_mails,
    sign_in,
)
from tests.support import Harness
from tests.world import Answer, World

NEW_PASSWORD = "three slow boats to the far shore"
HERE, ELSEWHERE = "198.51.100.7", "203.0.113.9"


@dataclass
class House:
    """A distributor with two people who have signed in: an administrator, and somebody whom she manages."""

    world: World
    distributor: Node
    nora: str
    """Access token of the administrator."""
    bert: str
    bert_id: str
    bert_refresh: str

    def request(self, operation: str, token: str, **request: Any) -> Answer:
        return self.world.request(operation, token, **request)

    def works(self, token: str, address: str = HERE) -> bool:
        """Whether a token still lets its bearer in."""
        answer = self.world.request("identity.get_me", token, address=address)
        assert answer.status in (200, 401, 403), answer.text
        if answer.status == 200:
            return True
        assert answer.code in ("not_signed_in", "access_denied"), answer.text
        return False

    def refreshes(self, refresh_token: str) -> bool:
        form = f"grant_type=refresh_token&refresh_token={refresh_token}"
        answer = self.world.request("identity.issue_token", form=form)
        assert answer.status in (200, 400, 403), answer.text
        return answer.status == 200


EVERYTHING_OF_BERTS = [
    "dashboard.view",
    "accounts.add",
    "accounts.remove",
    "users.manage",
    "integrations.manage",
    "account.audit.view",
]


@pytest.fixture
def house(world: World) -> House:
    distributor = a_distributor(world, "nora@north.example.com")
    confirm(world, "nora@north.example.com")
    nora = sign_in(world, "nora@north.example.com")["access_token"]
    body = {
        "email": "bert@north.example.com",
        "name": "Bert",
        "role": "custom",
        "permissions": EVERYTHING_OF_BERTS,
    }
    created = world.request("identity.create_user", nora, body=body)
    assert created.status == 201, created.text
    confirm(world, "bert@north.example.com")
    tokens = sign_in(world, "bert@north.example.com")
    return House(
        world, distributor, nora, tokens["access_token"], created.json["user_id"], tokens["refresh_token"]
    )


def done(answer: Answer) -> Answer:
    assert answer.status < 300, answer.text
    return answer


def test_signing_out_ends_the_token_and_its_refresh_token(house: House) -> None:
    other = sign_in(house.world, "bert@north.example.com")
    assert house.works(house.bert)
    done(house.request("identity.sign_out", house.bert))
    assert not house.works(house.bert)
    assert not house.refreshes(house.bert_refresh)
    assert house.works(other["access_token"]), "another session of the same user goes on"


def test_signing_out_ends_what_was_entered_from_the_session(house: House) -> None:
    partner = a_partner(house.world, house.distributor)
    account = an_account(house.world, partner)
    path = {"partner_id": partner.partner}
    inside = done(house.request("identity.access_partner", house.bert, path=path)).json["access_token"]
    path = {"account_id": account.account}
    deeper = done(house.request("identity.access_account", inside, path=path)).json["access_token"]
    assert house.works(inside)
    assert house.works(deeper)
    done(house.request("identity.sign_out", house.bert))
    assert not house.works(inside)
    assert not house.works(deeper)


def test_a_session_that_its_user_ends_is_over(house: House) -> None:
    second = sign_in(house.world, "bert@north.example.com")
    sessions = done(house.request("identity.list_sessions", second["access_token"])).json["items"]
    first = next(each for each in sessions if not each["current"])
    path = {"session_id": first["session_id"]}
    done(house.request("identity.end_session", second["access_token"], path=path))
    assert not house.works(house.bert)
    assert not house.refreshes(house.bert_refresh)
    assert house.works(second["access_token"])


def test_a_disabled_user_is_out(house: House) -> None:
    path = {"user_id": house.bert_id}
    done(house.request("identity.change_user", house.nora, path=path, body={"state": "disabled"}))
    assert not house.works(house.bert)
    assert not house.refreshes(house.bert_refresh)


def test_a_removed_user_is_out(house: House) -> None:
    done(house.request("identity.remove_user", house.nora, path={"user_id": house.bert_id}))
    assert not house.works(house.bert)
    assert not house.refreshes(house.bert_refresh)


def test_a_changed_password_ends_all_other_sessions(house: House) -> None:
    second = sign_in(house.world, "bert@north.example.com")
    body = {"current": PASSWORD, "new": NEW_PASSWORD, "confirmation": NEW_PASSWORD}
    done(house.request("identity.change_password", second["access_token"], body=body))
    assert not house.works(house.bert)
    assert not house.refreshes(house.bert_refresh)
    assert house.works(second["access_token"]), "whoever changed it stays"
    assert house.refreshes(second["refresh_token"])


def test_a_password_that_was_forgotten_and_set_anew_ends_all_sessions(house: House) -> None:
    world = house.world
    done(world.request("identity.forget_password", body={"email": "bert@north.example.com"}))
    world.stream()
    world.work("identity.on_password_forgotten", "PasswordsForgotten")
    deliver_mail(world)
    mail = next(each for each in reversed(sent_mails()) if each.to == "bert@north.example.com")
    token = mail.text.partition("/reset-password#token=")[2].split()[0]
    body = {"token": token, "new": NEW_PASSWORD, "confirmation": NEW_PASSWORD}
    done(world.request("identity.reset_password", body=body))
    assert not house.works(house.bert)
    assert not house.refreshes(house.bert_refresh)


def test_a_permission_that_was_taken_away_is_gone(house: House) -> None:
    assert house.request("accounts.list_accounts", house.bert).status == 200
    path = {"user_id": house.bert_id}
    done(house.request("identity.change_user", house.nora, path=path, body={"permissions": ["users.manage"]}))
    answer = house.request("accounts.list_accounts", house.bert)
    assert (answer.status, answer.code) == (403, "not_permitted")
    assert house.works(house.bert)


def test_a_partner_that_is_no_longer_accessible_is_gone_and_its_portal_too(house: House) -> None:
    kept, withdrawn = (
        a_partner(house.world, house.distributor),
        a_partner(house.world, house.distributor, "another@partner.example.com"),
    )
    path = {"partner_id": withdrawn.partner}
    inside = done(house.request("identity.access_partner", house.bert, path=path)).json
    who = {"user_id": house.bert_id}
    seen = {"accessible_accounts": [kept.partner, withdrawn.partner]}
    done(house.request("identity.change_user", house.nora, path=who, body=seen))
    assert house.works(inside["access_token"])
    assert house.refreshes(inside["refresh_token"])
    seen = {"accessible_accounts": [kept.partner]}
    done(house.request("identity.change_user", house.nora, path=who, body=seen))
    assert house.request("partners.get_partner", house.bert, path=path).status == 404
    assert not house.works(inside["access_token"])
    assert not house.refreshes(inside["refresh_token"])


def test_an_address_that_is_no_longer_allowed_is_denied(house: House) -> None:
    assert house.works(house.bert, ELSEWHERE)
    done(house.request("identity.add_ip_entry", house.nora, body={"addresses": HERE}))
    assert not house.works(house.bert, ELSEWHERE)
    answer = house.request("identity.get_me", house.bert, address=ELSEWHERE)
    assert (answer.status, answer.code) == (403, "access_denied")
    assert house.works(house.bert, HERE)


def test_an_address_whose_entry_was_deleted_is_denied(house: House) -> None:
    done(house.request("identity.add_ip_entry", house.nora, body={"addresses": HERE}))
    entry = done(house.request("identity.add_ip_entry", house.nora, body={"addresses": ELSEWHERE})).json
    assert house.works(house.bert, ELSEWHERE)
    path = {"entry_id": entry["entry_id"]}
    done(house.request("identity.delete_ip_entry", house.nora, path=path))
    assert not house.works(house.bert, ELSEWHERE)


def test_requiring_a_second_factor_ends_the_sessions_without_one(house: House) -> None:
    world = house.world
    secret = done(house.request("identity.begin_totp", house.nora)).json["secret"]
    code = {"code": pyotp.TOTP(secret).at(world.now)}
    done(house.request("identity.confirm_totp", house.nora, body=code))
    body = {"password_expires_after_days": None, "two_factor_required": True}
    assert house.works(house.bert)
    done(house.request("identity.set_security_policy", house.nora, body=body))
    assert not house.works(house.bert)
    assert house.works(house.nora)


class TestApiKeys:
    @pytest.fixture
    def key(self, house: House) -> dict[str, str]:
        made: dict[str, str] = done(
            house.request("identity.create_api_key", house.bert, body={"name": "Scripts"})
        ).json
        return made

    @staticmethod
    def token_of(house: House, key: dict[str, str]) -> dict[str, str]:
        form = (
            f"grant_type=client_credentials&client_id={key['client_id']}&client_secret={key['client_secret']}"
        )
        tokens: dict[str, str] = done(house.request("identity.issue_token", "", form=form)).json
        return tokens

    def test_a_deleted_key_ends_its_tokens(self, house: House, key: dict[str, str]) -> None:
        tokens = self.token_of(house, key)
        assert house.works(tokens["access_token"])
        path = {"client_id": key["client_id"]}
        done(house.request("identity.delete_api_key", house.bert, path=path))
        assert not house.works(tokens["access_token"])
        assert not house.refreshes(tokens["refresh_token"])

    def test_a_key_ends_with_its_user(self, house: House, key: dict[str, str]) -> None:
        tokens = self.token_of(house, key)
        path = {"user_id": house.bert_id}
        done(house.request("identity.change_user", house.nora, path=path, body={"state": "disabled"}))
        assert not house.works(tokens["access_token"])

    def test_a_key_loses_what_its_user_loses(self, house: House, key: dict[str, str]) -> None:
        tokens = self.token_of(house, key)
        assert house.request("accounts.list_accounts", tokens["access_token"]).status == 200
        path, body = {"user_id": house.bert_id}, {"permissions": ["users.manage"]}
        done(house.request("identity.change_user", house.nora, path=path, body=body))
        assert house.request("accounts.list_accounts", tokens["access_token"]).status == 403

    def test_a_key_is_bound_to_the_allowed_addresses(self, house: House, key: dict[str, str]) -> None:
        tokens = self.token_of(house, key)
        done(house.request("identity.add_ip_entry", house.nora, body={"addresses": HERE}))
        assert not house.works(tokens["access_token"], ELSEWHERE)


def test_a_removed_partner_takes_its_people_and_its_visitors_out(house: House) -> None:
    world = house.world
    partner = a_partner(world, house.distributor)
    confirm(world, "jacob@anderson.example.com")
    jacob = sign_in(world, "jacob@anderson.example.com")
    path = {"partner_id": partner.partner}
    visiting = done(house.request("identity.access_partner", house.bert, path=path)).json["access_token"]
    done(house.request("partners.remove_partner", house.nora, path=path))
    assert not house.works(jacob["access_token"])
    assert not house.refreshes(jacob["refresh_token"])
    assert not house.works(visiting)
    assert house.works(house.bert)


def test_a_removed_account_takes_its_people_and_its_visitors_out(house: House) -> None:
    world = house.world
    account = an_account(world, house.distributor, email="rosy@white.example.com")
    confirm(world, "rosy@white.example.com")
    rosy = sign_in(world, "rosy@white.example.com")
    path = {"account_id": account.account}
    visiting = done(house.request("identity.access_account", house.bert, path=path)).json["access_token"]
    body = {"approve_data_removal": True}
    done(house.request("accounts.remove_account", house.nora, path=path, body=body))
    assert not house.works(rosy["access_token"])
    assert not house.refreshes(rosy["refresh_token"])
    assert not house.works(visiting)


def test_a_refresh_token_that_is_used_twice_ends_the_session(house: House, harness: Harness) -> None:
    form = f"grant_type=refresh_token&refresh_token={house.bert_refresh}"
    following = done(house.world.request("identity.issue_token", form=form)).json
    house.world.advance(seconds=31)
    assert not house.refreshes(house.bert_refresh)
    assert not house.works(house.bert)
    assert not house.works(following["access_token"])
    assert not house.refreshes(following["refresh_token"])
