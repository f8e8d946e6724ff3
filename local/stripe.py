"""The simulated payment provider: Stripe as far as the portal uses it, in the local cloud's time and on loopback alone.

It is `localstripe` with what that lacks: `local.stripe_objects`, idempotency keys, and webhooks that are signed when they
are sent and sent again when they do not arrive. What it stores survives a stop; what it had still to tell does not.

    python -m local.stripe                              serves
    python -m local.stripe card <client_secret> [<card number>]   what a payer's browser does with a set-up intent
"""

import asyncio
import hashlib
import hmac
import html
import inspect
import json
import os
import pickle
import sys
import time
import warnings
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from localstripe import resources, webhooks  # type: ignore[import-untyped]
from localstripe.errors import UserError  # type: ignore[import-untyped]

from local import clock, cloud
from local.api import fetch
from local.stripe_objects import GOOD_CARD, PAGES, Intent, Session, SetUp, detach

with warnings.catch_warnings():
    # Some of its handlers are plain functions, which aiohttp does not like; see `_waited_for`.
    warnings.simplefilter("ignore", DeprecationWarning)
    from localstripe import server

STORE = cloud.HOME / "stripe.pickle"
_PAGES = "/pay"
_KEYS_KEPT_FOR = 24 * 60 * 60
_SENT_AGAIN_AFTER = (0.2, 1, 5, 20, 60)
"""Seconds before each time that an event is sent, until it arrives."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def serve() -> None:
    # It lives in the local cloud's time, which can be moved.
    setattr(time, "time", lambda: clock.now().timestamp())  # noqa: B010
    resources.Store.dump_to_disk = keep
    webhooks._send_webhook = _send
    restore()
    deployed = cloud.deployment()
    webhooks.register_webhook(
        "portal", f"{deployed.api_url}/v1/webhooks/stripe", deployed.payment_secrets["webhook_secret"], None
    )
    PAGES["address"] = cloud.STRIPE + _PAGES
    web.run_app(app(), host=cloud.HOST, port=cloud.STRIPE_PORT, print=lambda *_: None, shutdown_timeout=1)


def app() -> web.Application:
    made = web.Application(
        middlewares=[_repeated, server.error_middleware, _let_in, server.save_store_middleware]
    )

    def add(method: str, path: str, handler: Callable[[web.Request], Any]) -> None:
        made.router.add_route(method, path, _waited_for(handler))

    add("GET", "/", _answer_that_it_runs)
    add("GET", _PAGES + "/{id}", _show_page)
    add("POST", _PAGES + "/{id}", _pay_on_page)
    # What stands first counts: these before localstripe's own.
    sessions = "/v1/checkout/sessions"
    for method, path, function in (
        ("POST", "/v1/setup_intents/{id}/confirm", SetUp._api_confirm),
        ("POST", "/v1/payment_intents/{id}/confirm", Intent._api_confirm),
        ("POST", "/v1/payment_methods/{id}/detach", detach),
        ("POST", sessions + "/{id}/expire", Session._api_expire),
    ):
        add(method, path, server.api_extra(function, path))
    for cls, path in ((SetUp, "/v1/setup_intents"), (Intent, "/v1/payment_intents"), (Session, sessions)):
        add("POST", path, server.api_create(cls, path))
        add("GET", path, server.api_list_all(cls, path))
        add("GET", path + "/{id}", server.api_retrieve(cls, path))
        add("POST", path + "/{id}", server.api_update(cls, path))
    for route in server.app.router.routes():
        if route.method != "HEAD" and route.resource is not None:
            add(route.method, route.resource.canonical, route.handler)
    return made


def _waited_for(handler: Callable[[web.Request], Any]) -> Handler:
    async def waiting(request: web.Request) -> web.StreamResponse:
        answer = handler(request)
        found: web.StreamResponse = await answer if inspect.isawaitable(answer) else answer
        return found

    return waiting


@web.middleware
async def _repeated(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A POST with an idempotency key is carried out once in 24 hours."""
    key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
    if key is None:
        return await handler(request)
    asked = hashlib.sha256(f"{request.path} ".encode() + await request.read()).hexdigest()
    at, known, status, body = resources.store.get(f"idempotency:{key}", (0, "", 0, b""))
    if time.time() - at < _KEYS_KEPT_FOR:
        if known != asked:
            error = {"type": "idempotency_error", "message": "This key was used with other parameters."}
            return web.json_response({"error": error}, status=400)
        headers = {"Idempotent-Replayed": "true"}
        return web.Response(body=body, status=status, headers=headers, content_type="application/json")
    answer = await handler(request)
    # What has failed inside, too.
    if (answer.status in (200, 402) or answer.status >= 500) and isinstance(answer, web.Response):
        resources.store[f"idempotency:{key}"] = (time.time(), asked, answer.status, bytes(answer.body or b""))  # type: ignore[arg-type]
    return answer


@web.middleware
async def _let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Anybody who knows a page's address may pay on it."""
    if request.path == "/" or request.path.startswith(_PAGES):
        return await handler(request)
    answer: web.StreamResponse = await server.auth_middleware(request, handler)
    return answer


async def _answer_that_it_runs(request: web.Request) -> web.Response:
    return web.Response(text="The simulated payment provider\n")


async def _show_page(request: web.Request) -> web.Response:
    page = Session._api_retrieve(request.match_info["id"])
    return _html(page, "")


async def _pay_on_page(request: web.Request) -> web.Response:
    page, form = Session._api_retrieve(request.match_info["id"]), await request.post()
    try:
        if form.get("arrived"):
            page._receive_transfer(int(str(form.get("amount") or page.amount_total)))
        else:
            page._pay(str(form.get("kind") or "card"), str(form.get("card") or GOOD_CARD))
    except UserError as error:
        return _html(page, error.body["error"].get("message", "That did not work."), status=402)
    return _html(page, "")


def _html(page: Session, trouble: str, status: int = 200) -> web.Response:
    name = {"card": "Card", "paypal": "PayPal", "customer_balance": "Bank transfer"}
    kinds = "".join(f'<option value="{kind}">{name[kind]}' for kind in page.payment_method_types)
    ways = (
        f'<select name=kind>{kinds}</select> <input name=card value="{GOOD_CARD}"> <button>Pay</button>'
        if page.status == "open"
        else f"<input name=amount value={page._still_to_come()}> "
        "<button name=arrived value=yes>The bank transfer arrives</button>"
        if page.status == "complete" and page.payment_status == "unpaid"
        else f'<a href="{html.escape(page.success_url)}">Back to the portal</a>'
    )
    how = "paid" if page.payment_status == "paid" else page.status
    return web.Response(
        content_type="text/html",
        status=status,
        text=f"<!doctype html><title>{html.escape(page.title)}</title><h1>{html.escape(page.title)}</h1>"
        f"<p>{page.amount_total} minor units of {html.escape(page.currency.upper())}: {how}"
        f"<p>{html.escape(trouble)}<form method=post>{ways}</form>\n",
    )


async def _send(event: Any) -> None:
    """Tell the portal's webhook; signed anew each time, as signatures grow old."""
    body = json.dumps(event._export()).encode()
    for pause in _SENT_AGAIN_AFTER:
        await asyncio.sleep(pause)
        for webhook in webhooks._webhooks.values():
            at = int(time.time())
            signature = hmac.new(webhook.secret.encode(), b"%d.%s" % (at, body), hashlib.sha256).hexdigest()
            headers = {"Content-Type": "application/json", "Stripe-Signature": f"t={at},v1={signature}"}
            try:
                async with (
                    aiohttp.ClientSession() as session,
                    session.post(webhook.url, data=body, headers=headers) as answer,
                ):
                    print(event.type, answer.status, flush=True)
                    if answer.status < 300:
                        return
            except aiohttp.ClientError as error:
                print(event.type, error, flush=True)


def keep(store: resources.Store) -> None:
    fresh = STORE.with_suffix(".new")
    fresh.write_bytes(pickle.dumps(dict(store)))
    os.replace(fresh, STORE)


def restore() -> None:
    """What was stored before the last stop."""
    if STORE.exists():
        dict.update(resources.store, pickle.loads(STORE.read_bytes()))


def add_card(client_secret: str, number: str = GOOD_CARD) -> str:
    """Complete a set-up intent as a payer's browser does; returns the id of the card.

    Raises:
        Trouble: the card is declined, or the set-up intent is completed already.
    """
    set_up_id = client_secret.partition("_secret_")[0]
    card = {"number": number, "exp_month": 12, "exp_year": clock.now().year + 4, "cvc": "123"}
    form = {"key": cloud.STRIPE_PUBLISHABLE_KEY, "client_secret": client_secret}
    form |= {"payment_method_data[type]": "card"}
    form |= {f"payment_method_data[card][{name}]": str(value) for name, value in card.items()}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    confirm = f"{cloud.STRIPE}/v1/setup_intents/{set_up_id}/confirm"
    status, answer = fetch("POST", confirm, urlencode(form).encode(), headers)
    if status != 200:
        raise cloud.Trouble(f"The payment provider answers {status}: {answer.decode(errors='replace')}")
    card_id: str = json.loads(answer)["payment_method"]
    return card_id


def main(arguments: list[str]) -> str | None:
    if arguments[:1] == ["card"] and len(arguments) in (2, 3):
        try:
            print(add_card(*arguments[1:]))
        except (cloud.Trouble, OSError) as trouble:
            return str(trouble)
        return None
    if arguments:
        return __doc__
    serve()
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
