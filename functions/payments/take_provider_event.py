"""POST /v1/webhooks/stripe

What the payment provider tells, signed by it: that a card was added, a payment has succeeded or failed, something was
paid on a payment page. It is looked into afterwards, whatever it says; told again, it changes nothing.
"""

from portal.operation import Call, public_operation
from portal.payments import webhook


@public_operation(because="The payment provider signs what it tells.")
def handler(call: Call) -> None:
    told = webhook.heard(call.body, call.headers.get("stripe-signature", ""), call.now)
    call.commit(*webhook.noted(told, call.now))
