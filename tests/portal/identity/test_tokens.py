import pytest

from portal.identity.tokens import RefreshToken, hashed, is_tagged, successor, tagged


def test_a_refresh_token_is_read_back() -> None:
    token = RefreshToken("ses_1", "secret.with.dots")
    assert str(token) == "dpr_ses_1.secret.with.dots"
    assert RefreshToken.parse(str(token)) == token


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dpr_",
        "dpr_ses_1",
        "dpr_ses_1.",
        "dpr_.secret",
        "dpa_ses_1.secret",
        "ses_1.x",
        "dpr_s." + "x" * 195,
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert RefreshToken.parse(text) is None


def test_the_successor_follows_from_secret_and_salt_alone() -> None:
    assert successor("secret", "salt", "key") == successor("secret", "salt", "key")
    others = {
        successor("secret", "salt", "key"),
        successor("secret", "other", "key"),
        successor("other", "salt", "key"),
        "secret",
    }
    assert len(others) == 4
    assert len(successor("secret", "salt", "key")) == 43 + 1 + 43


def test_a_tag_shows_for_which_session_a_secret_was_made() -> None:
    assert is_tagged(tagged("random", "key"), "key")
    assert is_tagged(successor(tagged("random", "key"), "salt", "key"), "key")
    assert not is_tagged(tagged("random", "other"), "key")
    for text in ("", ".", "random", "random.", "\ud800.\ud800", tagged("random", "key") + "x"):
        assert not is_tagged(text, "key")


def test_a_hash_takes_any_text() -> None:
    assert len({hashed(text) for text in ("", "x", "\ud800", "\N{GRINNING FACE}")}) == 4
