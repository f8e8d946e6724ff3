import pytest
from pydantic import ValidationError

from portal.audit.filters import AuditFilters


@pytest.mark.parametrize("name", ["account", "user"])
def test_an_address_is_trimmed_and_a_blank_one_refused(name: str) -> None:
    assert getattr(AuditFilters.model_validate({name: " a@example.com "}), name) == "a@example.com"
    for blank in ("", " ", "\t"):
        with pytest.raises(ValidationError):
            AuditFilters.model_validate({name: blank})
