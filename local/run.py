"""`make run`: the local cloud up, deployed, with the demo in it, and how to go on."""

import sys

from local import cloud, fill
from local.api import Api, Refused
from local.people import DISTRIBUTOR_EMAIL, OPERATOR_EMAIL, PASSWORD

_HOW_TO_GO_ON = r"""
The API answers at {url}
Its documentation: {url}/docs
Mails that it sent: {mails}
Distributor: {distributor}, operator: {operator}, both with the password: {password}

Sign in:

  API={url}
  TOKEN=$(curl -s $API/auth/sign-in -H 'Content-Type: application/json' \
    -d '{{"email": "{distributor}", "password": "{password}"}}' \
    | python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')
  AUTH="Authorization: Bearer $TOKEN"

and within 15 minutes list the partners, see the billing status of all accounts, or download the last bill:

  curl -s $API/partners -H "$AUTH" | python3 -m json.tool
  curl -s $API/billing/status -H "$AUTH" | python3 -m json.tool
  curl -sLo bill.pdf $API/billing/history/{reference}/pdf -H "$AUTH"
"""


def main() -> str | None:
    try:
        deployment = cloud.up()
        filled = fill.fill(deployment)
        if deployment.changed or filled:
            cloud.save()
        cloud.start_engine()
        cloud.start_provider()
        cloud.start_payments()
    except cloud.Trouble as trouble:
        return str(trouble)
    except KeyboardInterrupt:
        return "Interrupted. Run it again: it goes on with what is missing."
    print(
        _HOW_TO_GO_ON.format(
            url=f"{deployment.api_url}/v1",
            distributor=DISTRIBUTOR_EMAIL,
            operator=OPERATOR_EMAIL,
            password=PASSWORD,
            mails=f"{cloud.ENDPOINT}/_ministack/ses/messages",
            reference=_last_reference(f"{deployment.api_url}/v1"),
        )
    )
    return None


def _last_reference(url: str) -> str:
    """Of the demo distributor's last consolidated bill."""
    try:
        api = Api(url).sign_in(DISTRIBUTOR_EMAIL, PASSWORD)
        bills = api.get("/billing/history", kind="monthly", limit=1)["items"]
    except Refused:
        bills = []
    return bills[0]["reference"] if bills else "REFERENCE"


if __name__ == "__main__":
    sys.exit(main())
