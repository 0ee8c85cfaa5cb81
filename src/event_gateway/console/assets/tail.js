// The live tail of a stream: <section data-tail="URL"> shows the events of an event stream, the newest first. Paused, it
// keeps what comes in for later. Events are text: nothing of them becomes markup.
const MOST = 500;

for (const tail of document.querySelectorAll("[data-tail]")) follow(tail);

function follow(tail) {
  const part = (name) => tail.querySelector(`[data-tail-${name}]`);
  const [state, count, list, hint, pause] = ["state", "count", "list", "hint", "pause"].map(part);
  let held = [];
  let waiting = [];
  let paused = false;
  let seen = 0;
  let frame = 0;

  const source = new EventSource(tail.dataset.tail);
  source.addEventListener("open", () => say(paused ? "Paused." : "Connected."));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) say("The tail has ended. Load the page again to go on.");
    else say("The gateway does not answer. Trying again…");
  });
  source.addEventListener("refused", (message) => {
    source.close();
    say(`The gateway refuses this tail: ${JSON.parse(message.data).detail}`);
  });
  source.addEventListener("message", (message) => {
    const found = JSON.parse(message.data);
    seen += 1;
    const target = paused ? held : waiting;
    target.push(found);
    if (target.length > MOST) target.shift();
    if (paused) number();
    else frame ||= requestAnimationFrame(show);
  });

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Resume" : "Pause";
    pause.setAttribute("aria-pressed", String(paused));
    if (!paused) {
      waiting.push(...held);
      held = [];
      show();
    }
    say(paused ? "Paused." : "Connected.");
  });
  part("clear").addEventListener("click", () => {
    list.replaceChildren();
    hint.hidden = false;
  });
  addEventListener("pagehide", () => source.close());

  function say(text) {
    state.textContent = text;
  }

  function number() {
    count.textContent = `${seen} events so far${held.length ? `, ${held.length} not shown yet` : ""}.`;
  }

  function show() {
    frame = 0;
    hint.hidden = hint.hidden || waiting.length > 0;
    list.prepend(...waiting.reverse().map(row));
    waiting = [];
    while (list.children.length > MOST) list.lastElementChild.remove();
    number();
  }
}

function row({ seq, event }) {
  const [item, details, summary, number, type, about] = ["li", "details", "summary", "span", "code", "span"].map((tag) =>
    document.createElement(tag),
  );
  number.textContent = seq;
  number.className = "right";
  type.textContent = event.type;
  about.textContent = [event.subject, event.source].filter(Boolean).join(" · ");
  about.className = "soft";
  summary.append(number, " ", type, " ", about);
  details.append(summary);
  details.addEventListener(
    "toggle",
    () => {
      const text = document.createElement("pre");
      text.tabIndex = 0;
      text.textContent = JSON.stringify(event, null, 2);
      details.append(text);
    },
    { once: true },
  );
  item.append(details);
  return item;
}
