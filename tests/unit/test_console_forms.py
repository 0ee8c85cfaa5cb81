"""Forms of the console: what cannot be read is said beside its field."""

import pytest

from event_gateway.console.pages.webhooks.definition import MORE, definition_of


@pytest.mark.parametrize("text", ["{", '{"a":' * 2000])
def test_what_is_not_json_is_an_error_of_its_field(text: str) -> None:
    definition, errors = definition_of({"id": ["crm"], MORE: [text]})
    assert definition["id"] == "crm"
    assert errors[MORE].startswith("is not JSON: ")
