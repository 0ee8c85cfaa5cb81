// Draws <figure data-chart="URL">. The URL answers {"time": [seconds…], "series": [{"label", "values": […]}…]};
// null is a gap, which is drawn as one.
const COLOURS = ["--chart-1", "--chart-2", "--chart-3", "--chart-4"];
const drawn = new Map();

const FORMATS = {
  number: (value) => compact(value),
  per_second: (value) => `${compact(value)}/s`,
  percent: (value) => `${+(value * 100).toFixed(1)} %`,
  seconds: (value) => (value === 0 ? "0 s" : value < 1 ? `${Math.round(value * 1000)} ms` : `${+value.toPrecision(3)} s`),
  bytes: (value) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let step = 0;
    while (value >= 1024 && step < units.length - 1) [value, step] = [value / 1024, step + 1];
    return `${+value.toPrecision(3)} ${units[step]}`;
  },
};

function compact(value) {
  return new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 }).format(value);
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function stroke(series, index) {
  return series && colour(series.bad ? "--chart-bad" : COLOURS[index % COLOURS.length]);
}

function note(figure, text) {
  const shown = figure.querySelector("[data-chart-note]");
  shown.textContent = text;
  shown.hidden = !text;
}

async function draw(figure) {
  const place = figure.querySelector(".plot");
  let answer;
  try {
    const response = await fetch(figure.dataset.chart, { headers: { accept: "application/json" } });
    if (!response.ok) throw new Error(String(response.status));
    answer = await response.json();
  } catch {
    note(figure, "The figures cannot be read now. The chart tries again by itself.");
    return;
  }
  const all = answer.series.flatMap((series) => series.values).filter((value) => value !== null);
  // Without a cursor in the chart its legend shows the latest figures.
  const latest = (values) => values.findLast((value) => value !== null);
  const long = answer.time.at(-1) - answer.time[0] > 86400;
  const newest = answer.time.findLast((_, index) => answer.series.some((series) => series.values[index] !== null));
  note(figure, all.length ? "" : "There are no figures yet for this time.");
  const format = FORMATS[figure.dataset.unit] ?? FORMATS.number;
  const grid = { stroke: colour("--line"), width: 1 };
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const hour = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
  const moment = (seconds, format) => format.format(new Date(seconds * 1000));
  const times = (_, ticks, __, ___, step) => ticks.map((at) => moment(at, step >= 43200 ? day : step < 60 ? clock : hour));
  const range = figure.dataset.unit === "percent" ? [0, 1.02] : null;
  const axis = { stroke: colour("--soft"), grid, ticks: { show: false }, font: "12px system-ui" };
  drawn.get(figure)?.destroy();
  place.replaceChildren();
  const options = {
    width: Math.max(place.clientWidth, 200),
    height: Number(figure.dataset.height),
    cursor: { y: false, points: { size: 6 } },
    legend: { live: true, markers: { width: 0, fill: (_, index) => stroke(answer.series[index - 1], index - 1) } },
    scales: { y: { range: (_, low, high) => range ?? [Math.min(0, low ?? 0), (high ?? 0) > 0 ? high * 1.1 : 1] } },
    axes: [{ ...axis, size: 28, space: 64, values: times }, { ...axis, size: 62, values: (_, ticks) => ticks.map(format) }],
    series: [
      {
        label: "",
        value: (_, at) => ((at ??= newest) == null ? "" : (long ? `${moment(at, day)}, ` : "") + moment(at, clock)),
      },
      ...answer.series.map((series, index) => ({
        label: series.label,
        stroke: stroke(series, index),
        width: 2,
        fill: answer.series.length === 1 ? colour("--chart-fill") : undefined,
        points: { show: series.values.filter((value) => value !== null).length < 40, size: 4 },
        spanGaps: false,
        value: (plot, value) => {
          const shown = plot.cursor.idx == null ? latest(series.values) : value;
          return shown == null ? "–" : format(shown);
        },
      })),
    ],
  };
  drawn.set(figure, new uPlot(options, [answer.time, ...answer.series.map((series) => series.values)], place));
}

function drawAll(root = document) {
  root.querySelectorAll("[data-chart]").forEach(draw);
}

drawAll();
addEventListener("htmx:load", (event) => drawAll(event.detail.elt));
addEventListener("themechange", () => drawAll());
addEventListener("resize", () => {
  for (const [figure, plot] of drawn) {
    const place = figure.querySelector(".plot");
    plot.setSize({ width: Math.max(place.clientWidth, 200), height: Number(figure.dataset.height) });
  }
});
setInterval(() => {
  for (const figure of [...drawn.keys()]) if (!figure.isConnected) drawn.delete(figure);
  if (!document.hidden) drawAll();
}, 15000);
