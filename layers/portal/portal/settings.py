"""What the deployment tells the code: the only reader of the environment.

Read once at import; every value has the default that lets rules and tests run without a deployment.
"""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What connects the portal with an identity provider."""

    issuer: str
    """Below it lies the provider's `/.well-known/openid-configuration`."""
    client_id: str
    """What the provider calls the portal; empty when nobody has introduced them."""
    secret_arn: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Names and addresses of what was deployed around the functions (see `Globals` in template.yaml)."""

    table_name: str
    bucket_name: str
    portal_url: str
    """Where links in mail lead: the web portal's address, without a trailing slash."""
    mail_sender: str
    vendor_name: str
    vendor_address: str
    """Lines of the vendor's postal address as bills show it, separated by semicolons; likewise the bank account."""
    vendor_tax_id: str
    vendor_bank: str
    billing_contact: str
    """E-mail address for questions about bills."""
    key_arn: str
    """KMS key of what tenants entrust to the portal."""
    cursor_secret_arn: str
    engine_secret_arn: str
    api_url: str
    """Where browsers reach the API, up to what stands before `/v1`; `{api}` in it is the API's id. Empty when it is where
    API Gateway says."""
    providers: dict[str, ProviderSettings]
    """Of users who sign in elsewhere, by name: `google`, `microsoft`."""
    local_providers: frozenset[str]
    """Local cloud only: addresses such as `http://127.0.0.1:5566` that may be called though they are not public."""
    stripe_url: str
    """Where the payment provider's API is; empty for its own address."""
    stripe_publishable_key: str
    """What a browser shows the payment provider; nobody pays by card when empty."""
    stripe_secret_arn: str
    """Of a JSON object with `api_key` and `webhook_secret`."""
    bank_transfer_above: dict[str, str]
    """By currency, above which amount a payment page offers a bank transfer: 1,000 USD and what is worth as much."""
    eu_bank_transfer_country: str
    """Where the bank account lies to which transfers in EUR are asked for: DE, FR, IE or NL."""
    clock_file: str
    """Local cloud only: a file holding how far this deployment's clock is moved. Empty in AWS."""
    cors_origins: frozenset[str]
    environ_queues: dict[str, str]

    def queue_url(self, queue: str) -> str:
        """The address of one of the template's queues by its logical id, e.g. `Mail`."""
        return self.environ_queues[queue]


QUEUES = (
    "EngineCommands", "Mail", "Documents", "Reports", "Usage", "Billing", "Overdue", "Trials", "Purge", "Rollups",
    "Forgotten", "PasswordsForgotten", "PasswordExpiry", "AuditExports", "Payments", "Reconciliation",
)  # fmt: skip

_BANK_TRANSFER_ABOVE = "USD=1000,EUR=900,GBP=800,JPY=150000,MXN=18000"

_ISSUERS = {
    "google": "https://accounts.google.com",
    "microsoft": "https://login.microsoftonline.com/common/v2.0",
}


def _read(environ: dict[str, str]) -> Settings:
    return Settings(
        table_name=environ.get("TABLE_NAME", "portal"),
        bucket_name=environ.get("BUCKET_NAME", "portal-files"),
        portal_url=environ.get("PORTAL_URL", "https://portal.example.com").rstrip("/"),
        mail_sender=environ.get("MAIL_SENDER", "portal@example.com"),
        vendor_name=environ.get("VENDOR_NAME", "Example Backup"),
        vendor_address=environ.get("VENDOR_ADDRESS", ""),
        vendor_tax_id=environ.get("VENDOR_TAX_ID", ""),
        vendor_bank=environ.get("VENDOR_BANK", ""),
        billing_contact=environ.get("BILLING_CONTACT", "")
        or environ.get("MAIL_SENDER", "portal@example.com"),
        key_arn=environ.get("KEY_ARN", ""),
        cursor_secret_arn=environ.get("CURSOR_SECRET_ARN", ""),
        engine_secret_arn=environ.get("ENGINE_SECRET_ARN", ""),
        api_url=environ.get("API_URL", "").rstrip("/"),
        providers={
            name: ProviderSettings(
                environ.get(f"{name.upper()}_ISSUER", issuer),
                environ.get(f"{name.upper()}_CLIENT_ID", ""),
                environ.get(f"{name.upper()}_SECRET_ARN", ""),
            )
            for name, issuer in _ISSUERS.items()
        },
        local_providers=frozenset(filter(None, environ.get("LOCAL_PROVIDERS", "").split(","))),
        stripe_url=environ.get("STRIPE_URL", "").rstrip("/"),
        stripe_publishable_key=environ.get("STRIPE_PUBLISHABLE_KEY", ""),
        stripe_secret_arn=environ.get("STRIPE_SECRET_ARN", ""),
        bank_transfer_above=dict(
            each.split("=", 1)
            for each in environ.get("BANK_TRANSFER_ABOVE", _BANK_TRANSFER_ABOVE).split(",")
            if each
        ),
        eu_bank_transfer_country=environ.get("EU_BANK_TRANSFER_COUNTRY", "DE"),
        clock_file=environ.get("CLOCK_FILE", ""),
        cors_origins=frozenset(filter(None, environ.get("CORS_ORIGINS", "").split(","))),
        environ_queues={queue: environ.get(f"{_screaming(queue)}_QUEUE_URL", "") for queue in QUEUES},
    )


def _screaming(name: str) -> str:
    """`EngineCommands` to `ENGINE_COMMANDS`."""
    return "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in name).lstrip("_")


settings = _read(dict(os.environ))
