"""Who signs in to the local cloud."""

OPERATOR_EMAIL = "operator@example.com"
DISTRIBUTOR_EMAIL = "admin@meridian.example.com"
GOOGLE_EMAIL = "gina@meridian.example.com"
"""Of the distributor as well, once it has invited her to sign in with Google."""
MICROSOFT_EMAIL = "max@meridian.example.com"
"""Likewise with Microsoft; the demo has not invited him."""
PASSWORD = "correct horse battery demo"  # the demo's; `make run` prints it
