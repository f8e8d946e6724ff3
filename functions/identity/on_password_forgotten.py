"""Queue: PasswordsForgotten

Somebody has forgotten the password of an e-mail address: its user, if there is one, is mailed how to sign in again.
Nobody else is mailed anything.
"""

from pydantic import BaseModel

from portal.consumer import Work, consumer
from portal.identity import actions, password_help, records
from portal.tree import Node


class PasswordForgotten(BaseModel):
    email: str
    asked_id: str


@consumer
def handler(work: Work, message: PasswordForgotten) -> None:
    owner = records.find_email_owner(message.email)
    user = owner and records.find_user(Node.parse(owner.path), owner.user_id)
    if user and actions.portal_stands(user):
        work.commit(send=password_help.answer(user, message.asked_id, work.now))
