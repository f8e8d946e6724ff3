"""E-mail addresses in requests."""

from typing import Annotated

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field


def _deliverable_form(text: str) -> str:
    try:
        # Only the form is checked: whether mail arrives shows when its link is used. SES takes no address
        # with a local part beyond ASCII. Domains under .test reach nobody and are there to be tried out with.
        valid = validate_email(
            text.strip(), check_deliverability=False, allow_smtputf8=False, test_environment=True, strict=True
        )
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None
    return valid.normalized


Email = Annotated[
    str, Field(max_length=254, json_schema_extra={"format": "email"}), AfterValidator(_deliverable_form)
]
"""An address as mail is sent to it: trimmed, its domain in lower case."""
