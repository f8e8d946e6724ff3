from urllib.parse import parse_qs, unquote, urlsplit

from portal import keys
from portal.identity.records import User, find_credentials
from portal.table import query
from tests.builders import (
    PASSWORD,
    a_distributor,
    a_partner,
    an_authenticator,
    bearer,
    code_of,
    confirm,
    sign_in,
)
from tests.world import World

OFFICE = "office@north.example.com"


def test_an_app_is_shown_its_secret_in_three_ways_and_nothing_is_on_yet(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, OFFICE)
    caller = bearer(world, sign_in(world, OFFICE)["access_token"])
    answer = world.call("identity.begin_totp", caller)
    assert answer.status == 200
    secret = answer.json["secret"]
    assert len(secret) == 32, "160 bits as base32"
    address = urlsplit(answer.json["otpauth_uri"])
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert unquote(address.path) == f"/Example Backup:{OFFICE}"
    asked = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert asked.items() <= {"secret": secret, "issuer": "Example Backup"}.items() | {
        "algorithm": "SHA1", "digits": "6", "period": "30"
    }.items()  # fmt: skip
    assert asked["secret"] == secret
    assert answer.json["qr_svg"].startswith("<svg") and answer.json["qr_svg"].endswith("</svg>")
    [user] = query(User, keys.node(distributor), keys.user())
    credentials = find_credentials(user.user_id)
    assert credentials is not None and credentials.totp_begun
    assert secret not in str(credentials.to_dynamodb_dict())
    assert not user.two_factor
    assert sign_in(world, OFFICE)["access_token"]


def test_the_latest_that_was_begun_counts_and_no_answer_is_repeated(world: World) -> None:
    a_distributor(world)
    confirm(world, OFFICE)
    caller = bearer(world, sign_in(world, OFFICE)["access_token"])
    headers = {"Idempotency-Key": "once"}
    first, second = (
        world.call("identity.begin_totp", caller, headers=headers).json["secret"] for _ in range(2)
    )
    assert first != second
    void = world.call("identity.confirm_totp", caller, body={"code": code_of(world, first)})
    assert (void.status, void.code) == (400, "wrong_code")
    good = world.call("identity.confirm_totp", caller, body={"code": code_of(world, second)})
    assert good.status == 200


def test_an_app_in_use_stays_the_one_that_is_asked(world: World) -> None:
    a_distributor(world)
    confirm(world, OFFICE)
    caller = bearer(world, sign_in(world, OFFICE)["access_token"])
    secret, _ = an_authenticator(world, OFFICE)
    assert world.call("identity.begin_totp", caller).status == 200
    world.advance(minutes=1)
    challenge = world.call("identity.sign_in", body={"email": OFFICE, "password": PASSWORD}).json
    body = {"challenge_token": challenge["challenge_token"], "code": code_of(world, secret)}
    assert world.call("identity.answer_challenge", body=body).status == 200


def test_it_is_about_oneself_from_an_entered_portal_too(world: World) -> None:
    distributor = a_distributor(world)
    partner = a_partner(world, distributor)
    confirm(world, OFFICE)
    caller = bearer(world, sign_in(world, OFFICE)["access_token"])
    path = {"partner_id": partner.partner}
    inside = bearer(world, world.call("identity.access_partner", caller, path=path).json["access_token"])
    secret = world.call("identity.begin_totp", inside).json["secret"]
    answer = world.call("identity.confirm_totp", inside, body={"code": code_of(world, secret)})
    assert answer.status == 200, answer.text
    [user] = query(User, keys.node(distributor), keys.user())
    assert user.two_factor
