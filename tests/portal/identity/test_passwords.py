import pytest

from portal.identity import passwords

EMAIL = "Joan.Doe@example.com"


def test_a_password_matches_its_hash_and_nothing_else_does() -> None:
    stored = passwords.hashed("a long walk")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.matches("a long walk", stored)
    assert not passwords.matches("a long walk ", stored)
    assert not passwords.matches("a long walk", None)
    assert not passwords.matches("a long walk", "no hash")
    assert not passwords.is_outdated(stored)


def test_the_same_password_is_hashed_differently_each_time() -> None:
    assert passwords.hashed("a long walk") != passwords.hashed("a long walk")


def test_accents_are_the_same_however_they_are_typed() -> None:
    stored = passwords.hashed("caf\u00e9 au lait")
    assert passwords.matches("cafe\u0301 au lait", stored)


@pytest.mark.parametrize(
    "password",
    [
        *("12345678", "PassWord", "iloveyou1", "joan.doe", EMAIL, "x" * 7, "x" * 129),
        # As they are hashed: "password1", "joan.doe", and only four characters.
        *("\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44\uff11", "\uff4aoan.doe", "e\u0301" * 4),
    ],
)
def test_weak_passwords_are_refused(password: str) -> None:
    assert passwords.weakness(password, email=EMAIL)


@pytest.mark.parametrize(
    "password", ["a long walk", "x1!yz9qk", "        !", "\u00fc" * 128, "correct horse"]
)
def test_others_are_taken_whatever_they_are_made_of(password: str) -> None:
    assert passwords.weakness(password, email=EMAIL) is None
