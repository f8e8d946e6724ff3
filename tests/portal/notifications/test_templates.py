import pytest

from portal.notifications.templates import TEMPLATES, Letter, as_html, as_text

LETTER = Letter("Subject <x>", ("Hello <b>Eve</b>,", "a & b"), ("Press", "/path?a=1&b=2"), ("Bye",))


def test_text_holds_everything_in_order() -> None:
    assert as_text(LETTER, {"a.csv": "https://portal.example.com/a"}) == (
        "Hello <b>Eve</b>,\n\na & b\n\nPress:\nhttps://portal.example.com/path?a=1&b=2\n\n"
        "a.csv:\nhttps://portal.example.com/a\n\nBye\n\nExample Backup\n"
    )


def test_html_holds_the_same_as_text_not_as_markup() -> None:
    html = as_html(LETTER, {'"><script>': "https://portal.example.com/a"})
    assert "Hello &lt;b&gt;Eve&lt;/b&gt;," in html
    assert "<title>Subject &lt;x&gt;</title>" in html
    assert 'href="https://portal.example.com/path?a=1&amp;b=2"' in html
    assert "<script>" not in html
    assert ">&quot;&gt;&lt;script&gt;</a>" in html


def test_an_address_elsewhere_is_left_alone() -> None:
    assert "https://status.example.com/x" in as_text(
        Letter("S", (), ("Open", "https://status.example.com/x")), {}
    )


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_every_template_says_what_it_takes(name: str) -> None:
    assert TEMPLATES[name].__doc__


@pytest.mark.parametrize(("kind", "name"), [("google", "Google"), ("microsoft", "Microsoft")])
def test_who_signs_in_with_a_provider_is_asked_for_no_password(kind: str, name: str) -> None:
    given = {"name": "Eve", "sign_in_type": kind, "link": "https://portal.example.com/confirm-email#token=x"}
    invited = as_text(TEMPLATES["invitation"](given), {})
    assert f"sign in with {name}" in invited
    assert "password" not in invited
    assert "choose a password" in as_text(TEMPLATES["invitation"](given | {"sign_in_type": "email"}), {})
    assert f"sign in with {name}" in as_text(TEMPLATES["no_password"](given), {})


def test_a_changed_password_is_told_without_an_address_too() -> None:
    given = {"name": "Eve", "at": "2023-01-10 12:00 UTC", "browser": "Chrome", "address": ""}
    assert "with Chrome from an unknown address" in as_text(TEMPLATES["password_changed"](given), {})


def test_a_payment_says_where_the_money_came_from_and_what_is_left() -> None:
    given = {
        "reference": "10001",
        "amount": "5.00 USD",
        "received_on": "2023-02-01",
        "owed": "",
        "excess": "",
    }
    received = as_text(TEMPLATES["payment_received"](given | {"paid_by": "credit card"}), {})
    assert "We have received 5.00 USD for bill 10001 on 2023-02-01 (credit card). Thank you." in received
    assert "Nothing is owed on it any more." in received
    used = {"paid_by": "credit balance", "owed": "1.00 USD"}
    said = as_text(TEMPLATES["payment_received"](given | used), {})
    assert "We have used 5.00 USD of your credit balance for bill 10001 on 2023-02-01." in said
    assert "1.00 USD is still owed on it." in said
