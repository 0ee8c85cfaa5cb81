"""The files of the dashboards."""

import json
from pathlib import Path

from dashboards.board import Board
from dashboards.event_flow import EVENT_FLOW
from dashboards.integration_status import INTEGRATION_STATUS
from dashboards.webhook_health import WEBHOOK_HEALTH

FOLDER = Path(__file__).parents[1] / "deploy" / "grafana" / "dashboards"
FILES: dict[str, Board] = {
    "event-flow.json": EVENT_FLOW,
    "webhook-health.json": WEBHOOK_HEALTH,
    "integration-status.json": INTEGRATION_STATUS,
}


def text_of(board: Board) -> str:
    """A dashboard as its file has it."""
    return json.dumps(board.json(), indent=2, ensure_ascii=False) + "\n"
