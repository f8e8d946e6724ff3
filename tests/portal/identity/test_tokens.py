import pytest

from portal.identity.tokens import RefreshToken, hashed, successor


def test_a_refresh_token_is_read_back() -> None:
    token = RefreshToken("ses_1", "secret.with.dots")
    assert str(token) == "dpr_ses_1.secret.with.dots"
    assert RefreshToken.parse(str(token)) == token


@pytest.mark.parametrize(
    "text", ["", "dpr_", "dpr_ses_1", "dpr_ses_1.", "dpr_.secret", "dpa_ses_1.secret", "ses_1.x"]
)
def test_anything_else_is_none(text: str) -> None:
    assert RefreshToken.parse(text) is None


def test_the_successor_follows_from_secret_and_salt_alone() -> None:
    assert successor("secret", "salt") == successor("secret", "salt")
    others = {successor("secret", "salt"), successor("secret", "other"), successor("other", "salt"), "secret"}
    assert len(others) == 4
    assert len(successor("secret", "salt")) == 43


def test_a_hash_takes_any_text() -> None:
    assert len({hashed(text) for text in ("", "x", "\ud800", "\N{GRINNING FACE}")}) == 4
