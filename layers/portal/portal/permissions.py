"""Every permission, and on which tiers of the tree it can be held."""

from enum import StrEnum

from portal.tree import Tier


class Permission(StrEnum):
    DASHBOARD_VIEW = "dashboard.view"
    ACCOUNTS_ADD = "accounts.add"
    ACCOUNTS_SUBSCRIBE = "accounts.subscribe"
    ACCOUNTS_REMOVE = "accounts.remove"
    SETTINGS_VIEW = "settings.view"
    SETTINGS_MANAGE = "settings.manage"
    USERS_MANAGE = "users.manage"
    SECURITY_MANAGE = "security.manage"
    INTEGRATIONS_MANAGE = "integrations.manage"
    BILLING_MANAGE = "billing.manage"
    BILLING_NOTIFICATIONS = "billing.notifications"
    AUDIT_VIEW = "audit.view"
    NOTIFICATIONS_MANAGE = "notifications.manage"
    REPORTS_EXPORT = "reports.export"
    SUPPORT_USE = "support.use"

    ACCOUNT_SETTINGS_VIEW = "account.settings.view"
    ACCOUNT_BILLING_VIEW = "account.billing.view"
    ACCOUNT_SUPPORT_VIEW = "account.support.view"
    ACCOUNT_TASKS_MANAGE = "account.tasks.manage"
    ACCOUNT_RESTORE = "account.restore"
    ACCOUNT_USERS_MANAGE = "account.users.manage"
    ACCOUNT_AUDIT_VIEW = "account.audit.view"

    OPERATOR_DISTRIBUTORS = "operator.distributors"
    OPERATOR_BILLING = "operator.billing"

    ENGINE_REPORT = "engine.report"


KNOWN = {str(permission): permission for permission in Permission}
"""By name. While a new version is rolled out, a name can come from a function that knows one more."""

_ACCOUNT_PERMISSIONS = frozenset(p for p in Permission if p.startswith("account."))
_OPERATOR_PERMISSIONS = frozenset(p for p in Permission if p.startswith("operator."))
_BILLING = frozenset({Permission.BILLING_MANAGE, Permission.BILLING_NOTIFICATIONS})
_OF_THE_TREE = frozenset(
    {
        Permission.DASHBOARD_VIEW,
        Permission.ACCOUNTS_ADD,
        Permission.ACCOUNTS_SUBSCRIBE,
        Permission.ACCOUNTS_REMOVE,
    }
)
_PORTAL_PERMISSIONS = (
    frozenset(Permission) - _ACCOUNT_PERMISSIONS - _OPERATOR_PERMISSIONS - {Permission.ENGINE_REPORT}
)

HELD_ON: dict[Tier, frozenset[Permission]] = {
    Tier.VENDOR: _OPERATOR_PERMISSIONS
    | {Permission.USERS_MANAGE, Permission.SECURITY_MANAGE, Permission.AUDIT_VIEW},
    Tier.DISTRIBUTOR: _PORTAL_PERMISSIONS | _ACCOUNT_PERMISSIONS,
    Tier.PARTNER: (_PORTAL_PERMISSIONS | _ACCOUNT_PERMISSIONS) - _BILLING - {Permission.ACCOUNT_BILLING_VIEW},
    Tier.ACCOUNT: (_PORTAL_PERMISSIONS | _ACCOUNT_PERMISSIONS)
    - _BILLING
    - _OF_THE_TREE
    - {Permission.ACCOUNT_BILLING_VIEW},
}
"""What an administrator of a portal of each tier may do. Nobody on that tier can hold more."""
