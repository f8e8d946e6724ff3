"""Who signs in to the local cloud."""

OPERATOR_EMAIL = "operator@example.com"
DISTRIBUTOR_EMAIL = "admin@meridian.example.com"
PASSWORD = "correct horse battery demo"  # the demo's; `make run` prints it
