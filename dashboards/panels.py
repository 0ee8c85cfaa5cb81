"""Panels of a Grafana dashboard, as the members of its JSON."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}

COLUMNS = 24  # of a dashboard

# The colours mean the same in every panel.
GOOD, NOTICE, BAD, QUIET = "green", "orange", "red", "text"


@dataclass(frozen=True, slots=True)
class Query:
    """An expression of PromQL. ``legend`` names its series by labels in double braces; None shows
    the labels as they are. ``instant``: only the latest value; ``form``: ``table`` and ``heatmap``
    are read by the panels of these kinds."""

    expression: str
    legend: str | None = None
    instant: bool = False
    form: str = "time_series"


@dataclass(frozen=True, slots=True)
class Limits:
    """The values from which on a panel is orange, and red. ``falling``: small values are the bad
    ones, so ``notice`` and ``bad`` are the values below which they begin."""

    notice: float
    bad: float
    falling: bool = False

    def steps(self) -> list[Json]:
        """The thresholds in Grafana's form: the colour from each value on."""
        if self.falling:
            colours = [(None, BAD), (self.bad, NOTICE), (self.notice, GOOD)]
        else:
            colours = [(None, GOOD), (self.notice, NOTICE), (self.bad, BAD)]
        return [{"color": color, "value": value} for value, color in colours]


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel without its place. ``width`` in columns, ``height`` in rows."""

    json: Json
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Unit:
    """How values are shown: a unit of Grafana, the number of decimals, and the ends of the axis;
    ``soft_minimum``: the axis begins there unless a value is smaller. ``empty`` is shown where
    there is no value, which has a reason."""

    name: str = "short"
    decimals: int | None = None
    minimum: float | None = 0
    maximum: float | None = None
    empty: str = ""
    soft_minimum: float | None = None

    def json(self) -> Json:
        """The members of ``fieldConfig.defaults``."""
        values = {
            "unit": self.name, "decimals": self.decimals, "min": self.minimum,
            "max": self.maximum, "noValue": self.empty or None,
        }  # fmt: skip
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a panel or of its values."""

    title: str
    url: str
    new_tab: bool = False

    def json(self) -> Json:
        """The link in Grafana's form."""
        return {"title": self.title, "url": self.url, "targetBlank": self.new_tab}


@dataclass(frozen=True, slots=True)
class Meaning:
    """The text and the colour that a panel shows for a number."""

    value: int
    text: str
    color: str


def _mappings(meanings: tuple[Meaning, ...]) -> list[Json]:
    options = {
        str(meaning.value): {"text": meaning.text, "color": meaning.color, "index": index}
        for index, meaning in enumerate(meanings)
    }
    return [{"type": "value", "options": options}] if options else []


def _targets(queries: list[Query]) -> list[Json]:
    targets: list[Json] = []
    for index, query in enumerate(queries):
        target: Json = {
            "datasource": DATASOURCE, "editorMode": "code", "expr": query.expression,
            "format": query.form, "instant": query.instant, "range": not query.instant,
            "refId": chr(ord("A") + index),
        }  # fmt: skip
        if query.legend is not None:
            target["legendFormat"] = query.legend
        targets.append(target)
    return targets


def _panel(
    kind: str, title: str, description: str, queries: list[Query], links: list[Link]
) -> Json:
    panel: Json = {
        "type": kind, "title": title, "description": description, "datasource": DATASOURCE,
        "targets": _targets(queries),
    }  # fmt: skip
    if links:
        panel["links"] = [link.json() for link in links]
    return panel


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """One number, and its course behind it. ``meanings`` shows texts in place of numbers;
    ``text``: shows the name of the series in place of its value."""

    title: str
    description: str
    query: Query
    unit: Unit = Unit()
    limits: Limits | None = None
    meanings: tuple[Meaning, ...] = ()
    links: list[Link] = field(default_factory=list)
    width: int = 4
    shows_name: bool = False
    bare: bool = False

    def panel(self) -> Panel:
        """The panel."""
        panel = _panel("stat", self.title, self.description, [self.query], self.links)
        steps = self.limits.steps() if self.limits else [{"color": QUIET, "value": None}]
        panel["fieldConfig"] = {
            "defaults": {
                **self.unit.json(), "color": {"mode": "thresholds"},
                "mappings": _mappings(self.meanings),
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        }  # fmt: skip
        panel["options"] = {
            "colorMode": "value",
            "graphMode": "none" if self.query.instant or self.bare else "area",
            "justifyMode": "auto", "orientation": "auto", "wideLayout": True,
            "textMode": "name" if self.shows_name else "value",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "showPercentChange": False, "percentChangeColorMode": "standard",
        }  # fmt: skip
        return Panel(panel, self.width, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Series over time. ``limits`` are drawn as lines; ``stacked`` adds the series up; ``colors``:
    those of series, by a regular expression of their name; ``logarithmic``: the axis."""

    title: str
    description: str
    queries: list[Query]
    unit: Unit = Unit()
    limits: Limits | None = None
    stacked: bool = False
    logarithmic: bool = False
    colors: dict[str, str] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    series_links: list[Link] = field(default_factory=list)
    width: int = 12

    def panel(self) -> Panel:
        """The panel."""
        panel = _panel("timeseries", self.title, self.description, self.queries, self.links)
        scale: Json = {"type": "log", "log": 10} if self.logarithmic else {"type": "linear"}
        custom: Json = {
            "drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1,
            "fillOpacity": 30 if self.stacked else 8, "gradientMode": "none",
            "showPoints": "never", "spanNulls": False, "scaleDistribution": scale,
            "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if self.limits else "off"},
        }  # fmt: skip
        if self.unit.soft_minimum is not None:
            custom["axisSoftMin"] = self.unit.soft_minimum
        steps = self.limits.steps() if self.limits else [{"color": GOOD, "value": None}]
        defaults: Json = {
            **self.unit.json(), "color": {"mode": "palette-classic"}, "custom": custom,
            "mappings": [], "thresholds": {"mode": "absolute", "steps": steps},
        }  # fmt: skip
        if self.series_links:
            defaults["links"] = [link.json() for link in self.series_links]
        overrides = [
            {
                "matcher": {"id": "byRegexp", "options": pattern},
                "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
            }
            for pattern, color in self.colors.items()
        ]
        panel["fieldConfig"] = {"defaults": defaults, "overrides": overrides}
        panel["options"] = {
            "legend": self._legend(), "tooltip": {"mode": "multi", "sort": "desc"},
        }  # fmt: skip
        return Panel(panel, self.width, 8)

    def _legend(self) -> Json:
        """Names with their latest and largest values; only names where there is no room."""
        if self.width < COLUMNS // 2:
            return {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
        return {
            "displayMode": "table", "placement": "right", "showLegend": True,
            "calcs": ["lastNotNull", "max"], "sortBy": "Last *", "sortDesc": True,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """The states of several things over time, as coloured bars."""

    title: str
    description: str
    query: Query
    meanings: tuple[Meaning, ...]
    empty: str = ""
    links: list[Link] = field(default_factory=list)
    width: int = 12

    def panel(self) -> Panel:
        """The panel."""
        panel = _panel("state-timeline", self.title, self.description, [self.query], self.links)
        panel["fieldConfig"] = {
            "defaults": {
                **Unit(minimum=None, empty=self.empty).json(), "color": {"mode": "thresholds"},
                "custom": {"fillOpacity": 70, "lineWidth": 0},
                "mappings": _mappings(self.meanings),
                "thresholds": {"mode": "absolute", "steps": [{"color": QUIET, "value": None}]},
            },
            "overrides": [],
        }  # fmt: skip
        panel["options"] = {
            "mergeValues": True, "showValue": "auto", "alignValue": "left", "rowHeight": 0.8,
            "legend": {
                "displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": [],
            },
            "tooltip": {"mode": "single", "sort": "none"},
        }  # fmt: skip
        return Panel(panel, self.width, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """The buckets of a histogram over time: the darker, the more values."""

    title: str
    description: str
    query: Query
    unit: Unit
    width: int = 12

    def panel(self) -> Panel:
        """The panel."""
        panel = _panel("heatmap", self.title, self.description, [self.query], [])
        panel["fieldConfig"] = {
            "defaults": {"custom": {"scaleDistribution": {"type": "linear"}}},
            "overrides": [],
        }
        panel["options"] = {
            "calculate": False, "cellGap": 1, "rowsFrame": {"layout": "auto"},
            "color": {
                "mode": "scheme", "scheme": "Oranges", "steps": 64, "reverse": False,
                "fill": "dark-orange", "exponent": 0.5,
            },
            "exemplars": {"color": "rgba(31, 96, 196, 0.9)"},
            "filterValues": {"le": 1e-9}, "showValue": "never",
            "legend": {"show": True}, "tooltip": {"mode": "single", "yHistogram": True},
            "yAxis": {"axisPlacement": "left", "unit": self.unit.name},
        }  # fmt: skip
        return Panel(panel, self.width, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table: the latest value of a query for each row."""

    title: str
    expression: str
    unit: Unit = Unit()
    limits: Limits | None = None
    meanings: tuple[Meaning, ...] = ()
    width: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One row for each value of the label ``by``. ``columns`` are instant queries that are summed
    up by this label; ``row_links`` are links of the first column; ``sorted_by``: the title of the
    column whose largest value comes first."""

    title: str
    description: str
    by: str
    by_title: str
    columns: list[Column]
    sorted_by: str
    empty: str = ""
    row_links: list[Link] = field(default_factory=list)
    width: int = 24
    height: int = 9

    def panel(self) -> Panel:
        """The panel."""
        queries = [Query(column.expression, None, True, "table") for column in self.columns]
        panel = _panel("table", self.title, self.description, queries, [])
        letters = [chr(ord("A") + index) for index in range(len(self.columns))]
        names = {f"Value #{letter}": column.title
                 for letter, column in zip(letters, self.columns, strict=True)}  # fmt: skip
        panel["transformations"] = [
            {"id": "joinByField", "options": {"byField": self.by, "mode": "outer"}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True}
                    | {f"Time {number}": True for number in range(1, len(self.columns) + 1)},
                    "indexByName": {self.by: 0}
                    | {name: index for index, name in enumerate(names, start=1)},
                    "renameByName": {self.by: self.by_title} | names,
                },
            },
        ]
        panel["fieldConfig"] = {
            "defaults": {
                **Unit(minimum=None, empty=self.empty).json(),
                "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False},
                "mappings": [],
                "thresholds": {"mode": "absolute", "steps": [{"color": QUIET, "value": None}]},
            },
            "overrides": [self._first_column(), *map(_override, self.columns)],
        }
        panel["options"] = {
            "cellHeight": "sm", "showHeader": True,
            "sortBy": [{"displayName": self.sorted_by, "desc": True}],
            "footer": {"show": False, "reducer": [], "countRows": False},
        }  # fmt: skip
        return Panel(panel, self.width, self.height)

    def _first_column(self) -> Json:
        links = [link.json() for link in self.row_links]
        properties: list[Json] = [{"id": "custom.minWidth", "value": 160}]
        if links:
            properties.append({"id": "links", "value": links})
        return {"matcher": {"id": "byName", "options": self.by_title}, "properties": properties}


def _override(column: Column) -> Json:
    properties: list[Json] = [
        {"id": name, "value": value} for name, value in column.unit.json().items()
    ]
    if column.width is not None:
        properties.append({"id": "custom.width", "value": column.width})
    if column.meanings:
        properties.append({"id": "mappings", "value": _mappings(column.meanings)})
    if column.limits:
        steps = {"mode": "absolute", "steps": column.limits.steps()}
        properties.append({"id": "thresholds", "value": steps})
    if column.limits or column.meanings:
        properties.append({"id": "color", "value": {"mode": "thresholds"}})
        properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
    return {"matcher": {"id": "byName", "options": column.title}, "properties": properties}
