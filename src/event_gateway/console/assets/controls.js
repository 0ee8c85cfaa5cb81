// Small things that pages share: the navigation of small screens, copying, a key for the search, buttons pressed once.
addEventListener("click", async (event) => {
  const toggle = event.target.closest?.("[data-toggles]");
  if (toggle) {
    const shown = document.getElementById(toggle.dataset.toggles).classList.toggle("shown");
    toggle.setAttribute("aria-expanded", String(shown));
    return;
  }
  const copy = event.target.closest?.("[data-copies]");
  if (copy) {
    const text = document.getElementById(copy.dataset.copies).textContent;
    try {
      await navigator.clipboard.writeText(text);
      said(copy, "Copied");
    } catch {
      said(copy, "Select the text and copy it");
    }
  }
});

function said(button, text) {
  const former = button.textContent;
  button.textContent = text;
  setTimeout(() => (button.textContent = former), 1500);
}

addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    document.querySelectorAll(".nav.shown").forEach((nav) => {
      nav.classList.remove("shown");
      const toggle = document.querySelector(`[data-toggles="${nav.id}"]`);
      toggle?.setAttribute("aria-expanded", "false");
      toggle?.focus();
    });
  }
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
  const search = document.querySelector('[data-shortcut="/"]');
  if (search) {
    event.preventDefault();
    search.focus();
  }
});

// A form that was refused begins at what is wrong with it.
document.querySelector('main [aria-invalid="true"]')?.focus();

// A form that is on its way is not sent again.
addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented || form.hasAttribute("hx-post")) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  form.querySelectorAll("button").forEach((button) => button.setAttribute("aria-busy", "true"));
});
addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
});
