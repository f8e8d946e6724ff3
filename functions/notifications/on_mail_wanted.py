"""Queue: Mail

Sends one mail to each recipient, never twice the same. Whom it could not be sent to does not keep it from
the others; the message then comes again for them.
"""

from portal.adapters.mail import NotSent
from portal.consumer import Work, consumer
from portal.notifications import delivery
from portal.notifications.delivery import OutcomeUnknown
from portal.notifications.messages import MailWanted


@consumer
def handler(work: Work, message: MailWanted) -> None:
    enclosed = delivery.enclosed(message)
    failures: list[Exception] = []
    for address in delivery.recipients(message):
        try:
            delivery.deliver(work, message, address, enclosed)
        except (NotSent, OutcomeUnknown) as failure:
            failures.append(failure)
    if failures:
        raise ExceptionGroup("not everybody was mailed", failures)
