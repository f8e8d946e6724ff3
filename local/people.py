"""Who signs in to the local cloud."""

OPERATOR_EMAIL = "operator@example.com"
DISTRIBUTOR_EMAIL = "admin@meridian.example.com"
PASSWORD = "correct horse battery demo"  # noqa: S105: the demo's, printed by `make run`
