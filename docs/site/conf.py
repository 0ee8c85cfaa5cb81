"""The site of the documentation: `scripts/site` builds it with Sphinx.

The pages are plain Markdown, so that they read well on a code host, too. The order of the pages is
here, and nowhere else: Sphinx reports a page that no part of the navigation names.
"""

from typing import Any

from sphinx.application import Sphinx

project = "Event Gateway"
copyright = "the authors of Event Gateway. Apache-2.0"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["docs/**", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]
exclude_patterns = ["docs/site", "src", "tests", "bench", "build", ".*"]
myst_heading_anchors = 4  # as a code host makes them, so that links work in both places
suppress_warnings = ["myst.header"]  # a generated page may begin below the first level
html_theme = "furo"
html_title = "Event Gateway"
html_static_path = ["static"]
html_css_files = ["pictures.css"]
html_js_files = [
    ("../../versions.js", {"defer": "defer"}),
    ("choose-version.js", {"defer": "defer"}),
]
html_copy_source = False
html_show_sphinx = False
# Nothing on a page is fetched from elsewhere: the site works without a network, and from a folder.
html_theme_options = {"footer_icons": []}

NAVIGATION: dict[str, list[str]] = {
    "Start": ["start", "concepts", "glossary", "features", "compared"],
    "Publish": [
        "guides/publish-from-nats", "guides/events", "guides/sources", "guides/catalog",
        "guides/moving",
    ],
    "Deliver": [
        "guides/verify", "guides/listen", "guides/filters", "guides/cookbook", "guides/cesql",
        "guides/transformations", "guides/receivers", "guides/egress", "guides/deliveries",
    ],
    "Stream": ["guides/streams", "guides/browser-streams", "guides/compliance"],
    "Watch": [
        "guides/console", "guides/find-an-event", "guides/alerts", "guides/alert-notifications",
        "guides/dashboards", "guides/history", "guides/logs", "guides/traces",
        "guides/lifecycle-events", "guides/audit-log",
    ],
    "Call": [
        "guides/http-api", "guides/command-line", "guides/python-client", "guides/assistants",
        "guides/access", "guides/jwt", "guides/hmac", "guides/namespaces",
    ],
    "Operate": [
        "guides/install", "production", "sizing", "guides/docker", "guides/kubernetes",
        "guides/systemd", "operations", "operations/servers", "operations/permissions",
        "operations/redis", "operations/processes", "operations/reload", "operations/health",
        "operations/metrics", "operations/trouble", "operations/clients", "operations/backup",
        "guides/declared-state", "guides/terraform", "guides/tls", "upgrade",
        "disaster-recovery",
        "runbooks", "guides/doctor", "security", "reliability", "compatibility", "versioning",
        "performance", "scale",
    ],
    "Reference": ["reference/*"],
    "Develop": ["/CONTRIBUTING", "development/*", "decisions/README", "/SECURITY", "/CHANGELOG"],
}  # fmt: skip


def _toctree(pages: list[str], caption: str = "") -> str:
    options = "".join(
        (f":caption: {caption}\n" if caption else "", ":hidden:\n:glob:\n:maxdepth: 1\n")
    )
    return f"\n```{{toctree}}\n{options}\n" + "\n".join(pages) + "\n```\n"


def _navigate(app: Sphinx, name: str, source: list[str]) -> None:
    """Adds the navigation to the two pages that have others below them."""
    if name == root_doc:
        source[0] += "".join(_toctree(pages, caption) for caption, pages in NAVIGATION.items())
    elif name == "docs/decisions/README":
        source[0] += _toctree(["0*"])


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", _navigate)
    return {"parallel_read_safe": True}
