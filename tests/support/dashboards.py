"""What the dashboards query."""

from collections.abc import Iterator
from typing import Any


def panels(board: Any) -> Iterator[Any]:
    """The panels of a dashboard, also those in folded rows."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def expressions(board: Any) -> Iterator[str]:
    """All expressions of a dashboard: of its panels and its annotations."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield target["expr"]
    for annotation in board["annotations"]["list"]:
        if "expr" in annotation:
            yield annotation["expr"]


def variables(board: Any) -> Iterator[tuple[str, str]]:
    """The label and the metric of each variable that is read from Prometheus."""
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            metric, _, label = (
                variable["query"]["query"].removeprefix("label_values(").rpartition(", ")
            )
            yield label.removesuffix(")"), metric
