"""What is generated for commands and lifecycle events is what the code writes."""

from pathlib import Path

from event_gateway.cli import command_reference, summaries, summaries_module
from event_gateway.core.schema import lifecycle_reference

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def test_the_page_of_the_commands_is_up_to_date() -> None:
    page = (REFERENCE / "commands.md").read_text()
    assert page == command_reference.reference()
    assert "## webhooks rotate-secret" in page


def test_the_summaries_of_the_commands_are_up_to_date() -> None:
    assert Path(summaries.__file__).read_text() == summaries_module.module()


def test_the_page_of_the_lifecycle_events_is_up_to_date() -> None:
    page = (REFERENCE / "lifecycle-events.md").read_text()
    assert page == lifecycle_reference.reference()
    assert "`webhook.failed`" in page
    assert "[`reason`]" in page
