"""The files of a built web app, held in memory as they are sent: with type, tag and compressed forms.

Only what is in the folder and its `assets` when it is read can be asked for, by its exact name: no path is
ever made of what a request says. Links are not followed, and unknown types are left out.

Compressed by gzip here; by brotli, which takes seconds, when the app is built: `name.br` beside an asset. It
is taken for assets only, for their names are made of their content: what has the name has the content.
"""

import gzip
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

INDEX = "index.html"
ASSETS = "/assets/"
"""Files whose names are made of their content, so that they never change."""
BROTLI = ".br"

PUBLIC_TYPES: Mapping[str, str] = {
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
"""What may lie beside the index: by the ends of the names, which no path of the API has."""
_TYPES: Mapping[str, str] = {
    **PUBLIC_TYPES,
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_PACKED_ALREADY = frozenset({".png", ".webp", ".woff2", ".ico"})

Stamp = tuple[tuple[str, int, int], ...]
"""Name, time of change and size of each file: tells one build from another."""


@dataclass(frozen=True, slots=True)
class WebFile:
    """One file. `packed` are its compressed forms, where smaller, by their codings, the best first."""

    content: bytes
    packed: Mapping[str, bytes]
    media_type: str
    tag: str


@dataclass(frozen=True, slots=True)
class WebFiles:
    """One build. `files` by the path that they are asked for at."""

    index: WebFile
    files: Mapping[str, WebFile]
    stamp: Stamp


def stamp_of(folder: Path) -> Stamp | None:
    """Which build is in the folder now; None when there is none."""
    try:
        found = tuple(
            sorted(
                (path, stat.st_mtime_ns, stat.st_size)
                for path, entry in _entries(folder)
                for stat in (entry.stat(follow_symlinks=False),)
            )
        )
    except OSError:
        return None
    return found if any(path == f"/{INDEX}" for path, _, _ in found) else None


def read_web_files(folder: Path) -> WebFiles | None:
    """The build in the folder; None when there is none, or it is being written."""
    stamp = stamp_of(folder)
    if stamp is None:
        return None
    try:
        entries = dict(_entries(folder))
        files = {
            path: _web_file(Path(entry.path), entries.get(path + BROTLI))
            for path, entry in entries.items()
            if not path.endswith(BROTLI)
        }
    except OSError:
        return None
    index = files.pop(f"/{INDEX}", None)
    return None if index is None else WebFiles(index, files, stamp)


def _entries(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    for inner, prefix in ((folder, "/"), (folder / ASSETS.strip("/"), ASSETS)):
        if not inner.is_dir():
            continue
        with os.scandir(inner) as entries:
            for entry in entries:
                suffix = os.path.splitext(entry.name)[1]  # noqa: PTH122 - the entry is no Path
                is_known = suffix in _TYPES or (suffix == BROTLI and prefix == ASSETS)
                if is_known and entry.is_file(follow_symlinks=False):
                    yield prefix + entry.name, entry


def _web_file(path: Path, brotli: os.DirEntry[str] | None) -> WebFile:
    content = path.read_bytes()
    packed: dict[str, bytes] = {}
    if path.suffix not in _PACKED_ALREADY:
        if brotli is not None:
            packed["br"] = Path(brotli.path).read_bytes()
        packed["gzip"] = gzip.compress(content, 9, mtime=0)
    smaller = {coding: body for coding, body in packed.items() if len(body) < len(content)}
    tag = f'W/"{blake2b(content, digest_size=12).hexdigest()}"'
    return WebFile(content, smaller, _TYPES[path.suffix], tag)
