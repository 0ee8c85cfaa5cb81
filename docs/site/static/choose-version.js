// Shows a choice of the versions that are beside this one. `versions.js` is written by scripts/site.
if (window.SITE_VERSIONS && window.SITE_VERSIONS.length > 1) {
  const root = new URL("..", new URL(document.documentElement.dataset.content_root || "./", location.href));
  const choice = document.createElement("select");
  choice.setAttribute("aria-label", "Version of the documentation");
  for (const version of window.SITE_VERSIONS) {
    const shown = decodeURI(location.href).startsWith(`${decodeURI(root.href)}${version}/`);
    choice.add(new Option(version, version, shown, shown));
  }
  choice.onchange = () => { location.href = new URL(`${choice.value}/docs/index.html`, root).href; };
  document.querySelector(".sidebar-brand")?.after(choice);
}
