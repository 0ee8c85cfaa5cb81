// Shows every <time datetime> in the reader's zone: how long ago or until then, the exact time on hover.
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function show(element) {
  const at = new Date(element.dateTime);
  if (isNaN(at)) return;
  const seconds = (at - Date.now()) / 1000;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  element.title = `${exact.format(at)}, ${zone} (${element.dateTime})`;
  if (Math.abs(seconds) >= 7 * 86400) {
    element.textContent = day.format(at);
    return;
  }
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
  const text = Math.abs(seconds) < 1 ? "now" : relative.format(Math.round(seconds / size), unit);
  element.textContent = seconds < -1 && element.closest("[data-due]") ? `due ${text}` : text;
}

function showAll(root = document) {
  root.querySelectorAll("time[datetime]").forEach(show);
}

showAll();
setInterval(showAll, 5000);
addEventListener("htmx:load", (event) => showAll(event.detail.elt));
