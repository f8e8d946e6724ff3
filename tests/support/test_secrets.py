"""The watch over secrets sees what it is there for: each of these is planted."""

from typing import Any

import pytest

from portal.telemetry import logger
from tests.builders import PASSWORD
from tests.support.secrets import SecretTold, Watch, in_text, watching
from tests.world import World

TOKEN = "dpa_" + "x" * 43


@pytest.mark.parametrize(
    "said",
    [
        TOKEN,
        f"dpr_ses_01gq9k3v5ey8s4h1m2c7d0w6xt.{'y' * 43}",
        f"a link: https://portal.example.com/confirm-email#token=dpl_{'z' * 43}",
        f"dpc_{'a' * 43}",
        f"dps_{'b' * 43}",
        "eng_value",
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
        "otpauth://totp/Portal:a@example.com",
        "Authorization: Basic dXNlcjpwYXNzd29yZA==",
        "headers: {'authorization': 'bearer something-long'}",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    ],
)
@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_what_looks_secret_is_seen_at_every_level(world: World, said: str, level: str) -> None:
    with world.watch.expecting():
        getattr(logger, level)(said)


def test_what_is_logged_beside_the_message_is_seen(world: World) -> None:
    with world.watch.expecting():
        logger.info("answered", extra={"body": {"access_token": TOKEN}})
    logger.append_keys(token=TOKEN)
    with world.watch.expecting():
        logger.info("answered")
    logger.remove_keys(["token"])


def test_a_traceback_is_seen(world: World) -> None:
    with world.watch.expecting():
        try:
            raise ValueError(f"cannot read {TOKEN}")
        except ValueError:
            logger.exception("failed")


def test_a_password_of_a_request_is_known_from_then_on(world: World) -> None:
    logger.info(PASSWORD)
    world.call("identity.sign_in", body={"email": "nobody@example.com", "password": PASSWORD})
    with world.watch.expecting():
        logger.info(f"was tried with {PASSWORD}")


def test_what_an_answer_gave_out_is_known_from_then_on() -> None:
    watch = Watch()
    watch.after({}, {"statusCode": 200, "body": '{"totp": {"secret": "JBSWY3DPEHPK3PXP"}}'})
    watch.check("JBSWY3DPEHPK3PXP", "logged")
    with pytest.raises(SecretTold):
        watch.verify()


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ({"body": '{"password": "not so secret"}'}, "not so secret is too short"),
        ({"body": "grant_type=client_credentials&client_secret=not+so+secret"}, "who is not so secret?"),
        ({"headers": {"Authorization": f"Bearer {TOKEN}"}}, f"{TOKEN} is unknown"),
        ({"headers": {"client-secret": "not so secret"}}, "not so secret"),
    ],
)
def test_a_refusal_that_repeats_a_secret_is_seen(event: dict[str, Any], body: str) -> None:
    watch = Watch()
    watch.after(event, {"statusCode": 400, "body": body})
    with watch.expecting():
        watch.after(event, {"statusCode": 400, "body": body})
    with pytest.raises(SecretTold, match="refusal"):
        watch.verify()


def test_what_is_no_secret_is_none() -> None:
    assert list(in_text('{"code": "email_taken", "password": "x", "name": "A long enough name"}')) == [
        "email_taken"
    ]
    with watching() as watch:
        logger.info(
            "answered", extra={"user_id": "usr_01gq9k3v5ey8s4h1m2c7d0w6xt", "refused": "token_unknown"}
        )
    assert watch.lines == 1
    watch.verify()
