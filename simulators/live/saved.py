"""Where the live city stood: written each second, so that the next start goes on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gateway.errors import ConfigError
from simulators.faults import Fault
from simulators.files import replace_file


@dataclass(frozen=True, slots=True)
class Saved:
    """All that a live city knows beyond its plan."""

    city_us: int
    ended: Mapping[str, int] = field(default_factory=dict)
    """fault id -> us UTC at which somebody ended it"""
    done: tuple[str, ...] = ()
    """parts of a story that must not happen twice"""
    closed: Mapping[str, int] = field(default_factory=dict)
    """asset -> us UTC at which its valve was told to close"""
    opened: tuple[tuple[str, int, int], ...] = ()
    """(asset, us UTC from, us UTC to) of each time that a valve was closed until a crew opened it"""
    clean: bool = True
    """False while the city runs: then up to a second since the last saving is missing"""
    wall_us: int = 0
    """when this was written, us UTC of the machine's clock"""
    reported_us: int = 0
    """until when the remote meters have reported; 0 = as `city_us`"""
    injected: tuple[Mapping[str, Any], ...] = ()
    """faults that somebody added while the city lived, as JSON"""
    speed: float = 0.0
    """city seconds in a real second that somebody has asked for; 0 = nobody has"""
    city: str = ""
    """which city this is: what its seed and network are written as"""

    @staticmethod
    def read(path: Path, start_us: int) -> Saved:
        """Return the saved state, that of a first start if there is none. Raises ConfigError if it is damaged."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            opened = tuple((str(asset), int(start), int(end)) for asset, start, end in data.get("opened", ()))
            saved = Saved(
                city_us=int(data["city_us"]),
                ended={str(key): int(value) for key, value in data["ended"].items()},
                done=tuple(data["done"]),
                closed={str(key): int(value) for key, value in data.get("closed", {}).items()},
                opened=opened,
                clean=bool(data["clean"]),
                wall_us=int(data.get("wall_us", 0)),
                reported_us=int(data.get("reported_us", 0)),
                injected=tuple(data.get("injected", ())),
                speed=float(data.get("speed", 0.0)),
                city=str(data.get("city", "")),
            )
            saved.faults()
        except FileNotFoundError:
            return Saved(start_us)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                [f"{path}: is damaged ({error!r}); delete it, and the city begins anew at its first moment"]
            ) from error
        return saved

    def faults(self) -> tuple[Fault, ...]:
        """Return the faults that somebody added. Raises ValueError, KeyError or TypeError if one is unreadable."""
        return tuple(Fault.from_json(one) for one in self.injected)

    def with_ends(self, faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
        """Return faults with the ends that somebody has given them."""
        return tuple(replace(fault, end_us=self.ended.get(fault.fault_id, fault.end_us)) for fault in faults)

    def write(self, path: Path) -> None:
        """Replace the file at once."""
        replace_file(path, json.dumps(asdict(self)))
