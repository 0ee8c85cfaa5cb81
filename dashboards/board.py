"""A dashboard: its variables, its links, and its panels in rows."""

import itertools
from dataclasses import dataclass

from dashboards.panels import (
    COLUMNS,
    DATASOURCE,
    Heat,
    Json,
    Lines,
    Link,
    Stat,
    States,
    Table,
)
from dashboards.queries import HERE
from event_gateway.config.alerts_model import RUNBOOKS

SCHEMA = 39  # of Grafana 11; later versions read it too
TAG = "event-gateway"

Drawn = Stat | Lines | States | Heat | Table


@dataclass(frozen=True, slots=True)
class Section:
    """A row of the dashboard, with a title, and the panels under it from left to right.
    ``folded``: it is opened by a click."""

    title: str
    panels: list[Drawn]
    folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A dashboard. ``variables`` are its own, after those that all have."""

    uid: str
    title: str
    description: str
    variables: list[Json]
    sections: list[Section]

    def json(self) -> Json:
        """The dashboard's file."""
        return {
            "uid": self.uid, "title": self.title, "description": self.description,
            "tags": [TAG], "schemaVersion": SCHEMA, "version": 1, "editable": True,
            "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser", "fiscalYearStartMonth": 0, "liveNow": False,
            "timepicker": {}, "weekStart": "",
            "annotations": {"list": [_grafana_annotations(), _starts()]},
            "links": _links(),
            "templating": {"list": [*_common_variables(), *self.variables]},
            "panels": _placed(self.sections),
        }  # fmt: skip


def _placed(sections: list[Section]) -> list[Json]:
    """The panels with their places and numbers. A folded row holds its panels."""
    placed: list[Json] = []
    numbers = itertools.count(1)
    top = 0
    for section in sections:
        row: Json = {
            "type": "row", "title": section.title, "collapsed": section.folded,
            "id": next(numbers), "panels": [],
            "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top},
        }  # fmt: skip
        placed.append(row)
        top += 1
        left = height = 0
        for panel in (drawn.panel() for drawn in section.panels):
            if left + panel.width > COLUMNS:
                top, left, height = top + height, 0, 0
            place = {"h": panel.height, "w": panel.width, "x": left, "y": top}
            left, height = left + panel.width, max(height, panel.height)
            (row["panels"] if section.folded else placed).append(
                {"id": next(numbers), **panel.json, "gridPos": place}
            )
        top += height
    return placed


def _links() -> list[Json]:
    """Links at the top: the other dashboards, with the same time and variables; the console."""
    common: Json = {"asDropdown": False, "icon": "external link", "tooltip": "", "url": ""}
    return [
        {**common, "type": "dashboards", "title": "Event Gateway", "tags": [TAG],
         "includeVars": True, "keepTime": True, "targetBlank": False},
        {**common, "type": "link", "title": "Console", "tags": [], "url": "${console}",
         "tooltip": "The gateway's own console", "includeVars": False, "keepTime": False,
         "targetBlank": True},
    ]  # fmt: skip


def _grafana_annotations() -> Json:
    return {
        "builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": True,
        "hide": True, "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts",
        "type": "dashboard",
    }  # fmt: skip


def _starts() -> Json:
    """A line where a gateway has started: what changes then is explained by it."""
    return {
        "datasource": DATASOURCE, "enable": True, "iconColor": "blue", "name": "Starts",
        "expr": f"changes(process_start_time_seconds{{{HERE}}}[$__interval]) > 0",
        "titleFormat": "gateway started", "textFormat": "{{instance}}",
    }  # fmt: skip


def _common_variables() -> list[Json]:
    """The data source, the gateways of one or several jobs, and the console's address."""
    return [
        {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus",
         "refresh": 1, "regex": "", "hide": 0, "multi": False, "includeAll": False,
         "options": [], "current": {}, "skipUrlSync": False},
        query_variable("job", "Job", "label_values(event_gateway_build_info, job)"),
        query_variable("instance", "Instance",
                       'label_values(event_gateway_build_info{job=~"$job"}, instance)'),
        {"type": "textbox", "name": "console", "label": "Console URL", "hide": 2,
         "query": "http://127.0.0.1:8080/console", "skipUrlSync": False,
         "current": {"selected": True, "text": "http://127.0.0.1:8080/console",
                     "value": "http://127.0.0.1:8080/console"},
         "options": []},
    ]  # fmt: skip


def query_variable(name: str, label: str, query: str) -> Json:
    """A variable with the values of a label: one, several, or all."""
    return {
        "type": "query", "name": name, "label": label, "datasource": DATASOURCE,
        "query": {"query": query, "refId": name}, "regex": "",
        "refresh": 2, "sort": 1, "hide": 0, "multi": True, "includeAll": True, "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [], "skipUrlSync": False,
    }  # fmt: skip


DOCS = RUNBOOKS.rpartition("/")[0]
REASONS = Link("What to do", f"{DOCS}/reference/health.md", new_tab=True)


def runbook(alert: str) -> Link:
    """The link to what to do about an alert."""
    return Link("What to do", f"{DOCS}/runbooks.md#{alert}", new_tab=True)
