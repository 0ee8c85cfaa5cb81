"""The files that pages load: all are in the package, and none comes from elsewhere."""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

_PICTURES = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
}
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    **_PICTURES,
}
_FOR_EVER = "public, max-age=31536000, immutable"
MAX_LOGO = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    packed: bytes
    media_type: str


class Assets:
    """The files of ``assets/``, and the logo of this installation. Their URLs contain a digest of
    them all, so that browsers may keep them for ever. Raises OSError for a logo that is none."""

    def __init__(self, logo: str | None) -> None:
        self._files = dict(_files(files("event_gateway.console") / "assets", ""))
        self.logo: str | None = None
        if logo is not None:
            path = Path(logo)
            check_logo(path)
            self.logo = f"logo{path.suffix}"
            self._files[self.logo] = _asset(path.name, path.read_bytes())
        digest = hashlib.sha256()
        for name in sorted(self._files):
            digest.update(name.encode() + b"\0" + self._files[name].content)
        self.version = digest.hexdigest()[:16]

    def url(self, name: str) -> str:
        """The path of a file. Raises KeyError if there is none."""
        self._files[name]
        return f"/assets/{self.version}/{name}"

    async def get(self, request: Request) -> Response:
        """Answers with a file."""
        asset = self._files.get(request.path_params["name"])
        if asset is None:
            return Response(status_code=404)
        headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
        content = asset.content
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            content = asset.packed
        return Response(content, headers=headers, media_type=asset.media_type)


def check_logo(path: Path) -> None:
    """Raises OSError for a file that cannot be a logo."""
    if path.suffix not in _PICTURES or path.stat().st_size > MAX_LOGO:
        raise OSError(f"{path} is no SVG, PNG, JPEG or WebP file of at most 1 MiB")


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, _Asset]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files(entry, f"{prefix}{entry.name}/")
        elif Path(entry.name).suffix in _TYPES:
            yield prefix + entry.name, _asset(entry.name, entry.read_bytes())


def _asset(name: str, content: bytes) -> _Asset:
    return _Asset(content, gzip.compress(content), _TYPES[Path(name).suffix])
