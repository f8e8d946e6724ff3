"""What the audit trail tells of."""

from enum import StrEnum
from typing import Literal


class Activity(StrEnum):
    SIGN_IN = "sign-in"
    ACCOUNT_ACCESSED = "account accessed"
    SUBSCRIBED_TO_PLAN = "subscribed to plan"
    TRIAL_CANCELED = "trial canceled"
    CHANGED_ACCOUNT_NAME = "changed account name"
    SETTINGS_CHANGED = "settings changed"
    SECURITY_SETTINGS_CHANGED = "security settings changed"
    USER_MANAGEMENT = "user management"
    PERMISSIONS_CHANGED = "permissions changed"
    BILLING_DETAILS_UPDATED = "billing details updated"
    NOTIFICATION = "notification"
    INTEGRATION_CHANGED = "integration changed"
    API_KEY_CHANGED = "API key changed"
    ACCOUNT_CREATED = "account created"
    ACCOUNT_REMOVED = "account removed"
    DISTRIBUTOR_CREATED = "distributor created"
    PARTNER_CREATED = "partner created"
    PARTNER_REMOVED = "partner removed"
    TASKS_CHANGED = "tasks changed"


Outcome = Literal["completed", "failed"]
