"""The whole configuration as it stood at one moment: its values, and a digest of every file that they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from gateway.config import Config, load_files
from gateway.settings import Secret

NETWORK_FILES = ("zones.csv", "meters.csv", "stations.csv", "points.csv", "network.geojson")
"""what a reload takes anew; events and weather are read by every pass"""
Stamps = tuple[tuple[str, int, int], ...]
"""name, time of change (ns) and size of files"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of a site's configuration. Digests are hexadecimal SHA-256."""

    path: Path
    config: Config
    toml: str
    """digest of the file and those it includes"""
    profiles: str
    """digest of the site's own device profiles"""
    network: str
    """digest of the network folder, and of the files about service"""
    secrets: str
    """digest of names, sizes and times of the files with secrets; never of what they hold"""
    files: tuple[Path, ...]
    """those of the configuration itself, the main one first"""
    stamps: Stamps
    """of the files that are read again when it is used"""

    @property
    def digest(self) -> str:
        """Digest of everything."""
        return _of_text(f"{self.toml}\n{self.profiles}\n{self.network}\n{self.secrets}")

    def still_holds(self) -> bool:
        """Tell whether the profiles and the network folder are still as they were."""
        return stamps([Path(name) for name, _, _ in self.stamps]) == self.stamps


def take_snapshot(path: Path) -> Snapshot:
    """Read a configuration and check its keys and values; looks at no network. Raises ConfigError."""
    path = path.resolve()
    config, files = load_files(path)
    profiles = list(dict.fromkeys(Path(name) for name in _profiles(config.source) if name.endswith(".toml")))
    network = [config.network.folder / name for name in NETWORK_FILES]
    network += [file for file in (config.service.promises, config.service.calendar) if file is not None]
    before = stamps([*profiles, *network])
    return Snapshot(
        path,
        config,
        toml=_of_text("\n".join(f"{_name(path, file)} {digest}" for file, digest in files.items())),
        profiles=_of_files(path, profiles),
        network=_of_files(path, network),
        secrets=_of_text(repr(secret_stamps(config))),
        files=tuple(files),
        stamps=before,
    )


def fixed_values(config: Config) -> dict[str, Any]:
    """Return, by their keys, the values that only a restart may change."""
    return {
        "site.id": config.site.id,
        "data.folder": str(config.data.folder.resolve()),
        "data.epoch": config.data.epoch,
        "keep.listen": config.keep.listen,
        "web.listen": config.web.listen,
        "clock.file": None if config.clock is None else str(config.clock.file.resolve()),
    }


def secrets_of(value: object) -> Iterator[Secret]:
    """Yield every secret that a configuration names."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_of(getattr(value, name))
    elif isinstance(value, tuple):
        for one in value:
            yield from secrets_of(one)


def stamps(files: Sequence[Path]) -> Stamps:
    """Return name, time of change (ns) and size of each file; -1 where there is none."""
    found = []
    for file in files:
        try:
            known = file.stat()
            found.append((str(file), known.st_mtime_ns, known.st_size))
        except OSError:
            found.append((str(file), -1, -1))
    return tuple(found)


def secret_stamps(value: object) -> Stamps:
    """Return the stamps of the files that hold the secrets of a configuration."""
    return stamps([secret.file for secret in secrets_of(value) if secret.file is not None])


def _profiles(value: object) -> Iterator[str]:
    """Yield the values of every key `profile`."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            inner = getattr(value, name)
            if name == "profile" and isinstance(inner, str):
                yield inner
            else:
                yield from _profiles(inner)
    elif isinstance(value, tuple):
        for one in value:
            yield from _profiles(one)


def _of_files(main: Path, files: Sequence[Path]) -> str:
    total = hashlib.sha256()
    for file in files:
        total.update(f"{_name(main, file)}\0".encode())
        if file.is_file():
            with file.open("rb") as content:
                total.update(hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()


def _name(main: Path, file: Path) -> str:
    """Return the name of a file beside or below the main one, so that a moved folder keeps its digest."""
    return str(file.relative_to(main.parent)) if file.is_relative_to(main.parent) else str(file)


def _of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
