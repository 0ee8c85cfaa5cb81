"""The Grafana dashboards: their files, Grafana's schema, and the metrics that they query."""

import inspect
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from dashboards.files import FILES, FOLDER, text_of
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from event_gateway.observability.metrics.families import FAMILIES
from event_gateway.observability.metrics.family import Kind
from support.dashboards import expressions, panels
from support.prometheus import SHIPPED

register_default_plugins()

# What Prometheus adds itself, or makes of a histogram.
_ADDED = {"job", "instance", "le"}
# Grafana's schema leaves the members of an annotation to its data source.
_OF_THE_DATA_SOURCE = {"titleFormat", "textFormat"}


@pytest.fixture(params=FILES)
def board(request: pytest.FixtureRequest) -> Any:
    return json.loads((FOLDER / request.param).read_text())


def test_the_files_are_those_that_the_code_writes() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(FILES)
    for name, board in FILES.items():
        assert (FOLDER / name).read_text() == text_of(board), "run python -m dashboards"


def test_every_member_is_of_grafanas_schema(board: Any) -> None:
    # Grafana's own model drops members that it does not know, and refuses values of other types.
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(json.loads(json.dumps(board)))))
    lost = list(_lost(board, read))
    assert [at for at in lost if at.rpartition(".")[2] not in _OF_THE_DATA_SOURCE] == []


def _lost(written: Any, read: Any, at: str = "") -> Iterator[str]:
    """Where two JSON values differ, but for what only ``read`` has."""
    if isinstance(written, dict) and isinstance(read, dict):
        for name, value in written.items():
            if name in read:
                yield from _lost(value, read[name], f"{at}.{name}")
            else:
                yield f"{at}.{name}"
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for index, (value, other) in enumerate(zip(written, read, strict=True)):
            yield from _lost(value, other, f"{at}[{index}]")
    elif written != read:
        yield f"{at}: {written!r} is {read!r}"


def test_every_query_uses_metrics_and_labels_that_the_gateway_has(board: Any) -> None:
    labels: dict[str, set[str]] = {"up": _ADDED}
    for family in FAMILIES:
        names = [family.shown_name]
        if family.kind is Kind.HISTOGRAM:
            names = [f"{family.full_name}_{suffix}" for suffix in ("bucket", "sum", "count")]
        labels |= {name: {*family.labels, *_ADDED} for name in names}
    for expression in expressions(board):
        used = re.findall(r"\b((?:event_gateway|process)_\w+|up)\{([^}]*)\}", expression)
        assert used, expression
        assert len(used) == len(re.findall(r"\bevent_gateway_|\bprocess_|\bup\b", expression))
        grouped = set(re.findall(r"\w+", " ".join(re.findall(r" by \(([^)]*)\)", expression))))
        known = set[str]()
        for name, selector in used:
            assert name in labels, f"{name} in {expression}"
            matched = set(re.findall(r"(\w+)[=!]", selector))
            assert matched <= labels[name], expression
            known |= labels[name]
            # Another system's series must not be mixed in.
            assert "job" in matched, expression
        assert grouped <= known, expression


def test_every_legend_names_a_label_of_its_query(board: Any) -> None:
    for panel in panels(board):
        for target in panel["targets"]:
            for label in re.findall(r"{{(\w+)}}", target.get("legendFormat", "")):
                groups = re.findall(r" by \(([^)]*)\)", target["expr"])
                groups += ["instance"] if "process_" in target["expr"] else []
                assert label in " ".join(groups), (panel["title"], label)


def test_panels_have_a_title_a_description_and_a_known_unit(board: Any) -> None:
    known = inspect.getsource(units)
    for panel in panels(board):
        assert panel["title"]
        assert len(panel["description"]) > 40, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        fields = panel["fieldConfig"]
        named = [fields["defaults"].get("unit", "short"), *(
            change["value"] for override in fields["overrides"]
            for change in override["properties"] if change["id"] == "unit"
        )]  # fmt: skip
        for unit in named:
            assert f'"{unit}"' in known, (panel["title"], unit)


def test_panels_do_not_overlap_and_have_numbers_of_their_own(board: Any) -> None:
    everything = [*panels(board), *(row for row in board["panels"] if row["type"] == "row")]
    numbers = [panel["id"] for panel in everything]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in everything):
        assert place["x"] + place["w"] <= 24
        cells = set(itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"]),
        ))  # fmt: skip
        assert not cells & taken, place
        taken |= cells


def test_links_lead_to_a_dashboard_with_a_variable_of_that_name() -> None:
    boards = {board.uid: board.json() for board in FILES.values()}
    assert len(boards) == len(FILES)
    count = 0
    for board in boards.values():
        for url in re.findall(r'"url": "(/d/[^"]+)"', json.dumps(board)):
            _, _, rest = url.partition("/d/")
            uid, _, query = rest.partition("?")
            names = {variable["name"] for variable in boards[uid]["templating"]["list"]}
            assert set(re.findall(r"var-(\w+)=", query)) <= names
            count += 1
    assert count


def test_runbooks_exist() -> None:
    rules = yaml.safe_load((SHIPPED / "rules.yaml").read_text())
    urls = [rule["annotations"]["runbook_url"]
            for group in rules["groups"] for rule in group["rules"]]  # fmt: skip
    for board in FILES.values():
        urls += re.findall(r'"url": "(https://[^"]+)"', json.dumps(board.json()))
    for url in urls:
        inner = re.sub(r".*/event-gateway/(?:(?:blob|tree)/[^/]+/)?", "", urlsplit(url).path)
        path = FOLDER.parents[2] / inner
        fragment = urlsplit(url).fragment
        assert not fragment or fragment in _anchors(path.read_text()), url
        assert path.exists(), url


def test_the_runbooks_name_each_rule() -> None:
    rules = yaml.safe_load((SHIPPED / "rules.yaml").read_text())
    names = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    runbooks = (FOLDER.parents[2] / "docs/runbooks.md").read_text()
    assert names == set(re.findall(r"`(EventGateway\w+)`", runbooks))


def _anchors(page: str) -> set[str]:
    """The anchors that a page's headings make."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}
