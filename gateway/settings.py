"""What every part's configuration is made of: a strict base model, paths beside the file, secrets by reference."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from gateway.errors import ConfigError

_LOGIN = re.compile(r"//.*@", re.DOTALL)


def quoted_url(url: str) -> str:
    """Return an address in quotes for a message, without the name and password that somebody wrote into it."""
    return repr(_LOGIN.sub("//…@", url))


class Settings(BaseModel):
    """Base of every table of the configuration: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return path if path.is_absolute() or folder is None else Path(folder) / path


ConfigPath = Annotated[Path, AfterValidator(_beside_the_file)]
"""A path; a relative one starts at the folder of the configuration file."""


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'"{name}" is no IANA time zone; one is "Asia/Shanghai"') from None
    return name


TimeZoneName = Annotated[str, AfterValidator(_known_zone)]
"""An IANA time zone."""
AbsoluteKpa = Annotated[float, Field(ge=50.0, le=2000.0, allow_inf_nan=False)]
"""An absolute pressure near which gas is metered, kPa; a gauge pressure of a few kPa is refused."""
MeteringC = Annotated[float, Field(ge=-50.0, le=60.0, allow_inf_nan=False)]
"""A temperature at which gas is metered, C."""


class Secret(Settings):
    """A secret that stands elsewhere: exactly one of an environment variable and a file."""

    env: str | None = None
    """name of the environment variable that holds it"""
    file: ConfigPath | None = None
    """file whose content, without white space around it, is the secret"""

    @model_validator(mode="before")
    @classmethod
    def _never_in_the_file(cls, value: object) -> object:
        if isinstance(value, str):
            raise ValueError(  # noqa: TRY004 - pydantic turns it into a problem of this key
                'a secret must not stand in the configuration: write { env = "NAME" } or { file = "path" }, '
                "and change the secret that was written here"
            )
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError('name one source: { env = "NAME" } or { file = "path" }')
        return self

    def read(self) -> str:
        """Return the secret. Raises ConfigError, which never holds the secret, if it is missing or empty."""
        if self.env is not None:
            value = os.environ.get(self.env, "").strip()
            if not value:
                raise ConfigError([f"environment variable {self.env} is empty: set it to the secret"])
            return value
        assert self.file is not None
        try:
            value = self.file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError([f"{self.file}: cannot read the secret: {error.strerror}"]) from error
        except UnicodeDecodeError as error:
            raise ConfigError([f"{self.file}: the secret is not UTF-8 text; write it as text"]) from error
        if not value:
            raise ConfigError([f"{self.file}: the file is empty: write the secret into it"])
        return value
