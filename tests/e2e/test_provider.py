"""A browser that signs in with the identity provider: the portal, the provider and the way between them are all real."""

from typing import Any

import pytest
import requests

from local.people import GOOGLE_EMAIL, PASSWORD
from tests.e2e.conftest import LocalCloud

pytestmark = pytest.mark.xdist_group("local_cloud")


def _sent_on(browser: requests.Session, method: str, address: str, **options: Any) -> str:
    answer = browser.request(method, address, timeout=60, allow_redirects=False, **options)
    assert answer.is_redirect, answer.text
    return answer.headers["Location"]


def test_an_invited_user_signs_in_with_the_provider_and_nobody_else_does(
    local_cloud: LocalCloud, month: dict[str, str]
) -> None:
    local_cloud.run("-c", "from local import cloud; cloud.start_provider()")
    api = local_cloud.outputs()["Api"]
    credentials = {"email": month["administrator"], "password": PASSWORD}
    administrator = requests.post(f"{api}/auth/sign-in", json=credentials, timeout=60).json()
    invited = requests.post(
        f"{api}/users",
        json={
            "email": GOOGLE_EMAIL,
            "name": "Gina",
            "sign_in_type": "google",
            "role": "custom",
            "permissions": ["dashboard.view"],
        },
        headers={"Authorization": f"Bearer {administrator['access_token']}"},
        timeout=60,
    )
    assert invited.status_code == 201, invited.text

    def come_back(browser: requests.Session, who: str) -> str:
        page = _sent_on(browser, "GET", f"{api}/auth/google/start")
        return _sent_on(browser, "POST", page, data={"sub": who})

    with requests.Session() as browser, requests.Session() as another:
        refused = _sent_on(browser, "GET", come_back(browser, "mallory@example.com"))
        assert refused.endswith("/sign-in#error=sign_in_failed")
        assert _sent_on(another, "GET", come_back(browser, GOOGLE_EMAIL)).endswith("/sign-in#error=expired")
        back = come_back(browser, GOOGLE_EMAIL)
        _, _, challenge = _sent_on(browser, "GET", back).partition("/signed-in#challenge=")
        assert _sent_on(browser, "GET", back).endswith("/sign-in#error=expired")
    tokens = requests.post(f"{api}/auth/challenge", json={"challenge_token": challenge}, timeout=60)
    assert tokens.status_code == 200, tokens.text
    headers = {"Authorization": f"Bearer {tokens.json()['access_token']}"}
    me = requests.get(f"{api}/me", headers=headers, timeout=60).json()
    assert me["user"]["email"] == GOOGLE_EMAIL
