// Regions that stay current: an element with data-live="SECONDS" gets the event "refresh", upon which htmx loads it
// again from the page's own URL. Nothing is loaded while nobody looks, or while the reader is at work in the region.
const banner = document.getElementById("connection");
const due = new WeakMap();

// A region, and those that the same answer renews.
function renewed(region) {
  const others = region.getAttribute("hx-select-oob");
  return others ? [region, ...document.querySelectorAll(others)] : [region];
}

function busy(region) {
  const selection = getSelection();
  return (
    (region.contains(document.activeElement) && document.activeElement !== document.body) ||
    (selection && !selection.isCollapsed && region.contains(selection.anchorNode)) ||
    region.querySelector("dialog[open], details[open], :popover-open") !== null
  );
}

setInterval(() => {
  if (document.hidden) return;
  for (const region of document.querySelectorAll("[data-live]")) {
    const now = Date.now();
    if (!due.has(region)) {
      due.set(region, now + Number(region.dataset.live) * 1000);
    } else if (due.get(region) <= now && !renewed(region).some(busy)) {
      due.set(region, now + Number(region.dataset.live) * 1000);
      htmx.trigger(region, "refresh");
    }
  }
}, 500);

// The reader may have come into the region while it was asked for: then it stays as it is.
addEventListener("htmx:beforeSwap", ({ detail }) => {
  const refreshed = detail.requestConfig.triggeringEvent?.type === "refresh";
  if (refreshed && renewed(detail.target).some(busy)) detail.shouldSwap = false;
});

function connected(is) {
  if (banner) banner.hidden = is;
}

// The gateway or the console is away: the page says so, keeps what it shows, and goes on by itself.
addEventListener("htmx:sendError", () => connected(false));
addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status >= 502) connected(false);
});
addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) connected(true);
});
addEventListener("visibilitychange", () => {
  if (!document.hidden) document.querySelectorAll("[data-live]").forEach((region) => due.set(region, 0));
});

// A page that could not be shown is tried again.
if (document.querySelector("[data-retry]")) {
  setInterval(async () => {
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.status < 500) location.reload();
    } catch {
      // The console is away, too.
    }
  }, 2000);
}
