"""What a caller is told when the payment provider is needed for an answer and does not give one."""

from collections.abc import Iterator
from contextlib import contextmanager

from portal.adapters import stripe
from portal.errors import Conflict, Unavailable
from portal.settings import settings
from portal.telemetry import logger


class CardPaymentsUnavailable(Conflict):
    detail = "Paying by card or on a payment page is not offered here."


class PaymentProviderUnavailable(Unavailable):
    detail = "The payment provider does not answer; nothing was changed. Try again in a minute."


class PaymentProviderRefused(Conflict):
    detail = "The payment provider does not do this; contact support."


def check_introduced() -> None:
    """Raises:
    CardPaymentsUnavailable: nobody has introduced this portal to a payment provider.
    """
    if not settings.stripe_publishable_key:
        raise CardPaymentsUnavailable


class AmountRefused(Conflict):
    detail = (
        "The payment provider does not take this amount: it is too small or too large, or none that can be charged "
        "in this currency. Pay by bank transfer."
    )


@contextmanager
def answering() -> Iterator[None]:
    """Around what is asked of the provider while somebody waits for the answer.

    Raises:
        PaymentProviderUnavailable, PaymentProviderRefused, AmountRefused: in the place of the adapter's own.
    """
    try:
        yield
    except stripe.Unknown as error:
        logger.warning("the payment provider does not answer", extra={"reason": str(error)})
        raise PaymentProviderUnavailable from None
    except stripe.NotLetIn as error:
        logger.error("the payment provider does not know this portal", extra={"reason": str(error)})
        raise PaymentProviderUnavailable from None
    except stripe.AmountRefused:
        raise AmountRefused from None
    except stripe.Refused as error:
        logger.error("the payment provider refuses", extra={"reason": str(error)})
        raise PaymentProviderRefused from None
