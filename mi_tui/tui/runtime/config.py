"""The user's settings of the app: ``app.toml`` in the configuration folder, read strictly."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mi_tui.errors import MiTuiError
from mi_tui.paths import config_folder
from mi_tui.plan.toml import explain


class ConfigError(MiTuiError):
    """A settings file that cannot be read."""


class AppConfig(BaseModel):
    """Theme, keys and notification.

    ``keys`` maps the id of a binding (docs/keys.md) to its keys, parted by commas. ``notify`` has
    the terminal ring and tell (OSC 9) when the watched study is done or has failed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    theme: str | None = None
    keys: dict[str, str] = {}
    notify: bool = False


def config_path() -> Path:
    """Where the settings lie; the file need not exist."""
    return config_folder() / "app.toml"


def read_config(path: Path | None = None) -> AppConfig:
    """The settings; the defaults where there is no file.

    Raises:
        ConfigError: the file is not valid; one line with file, key and what is allowed.
    """
    file = path or config_path()
    try:
        return AppConfig.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return AppConfig()
    except ValidationError as error:
        raise ConfigError(f"{file}: {explain(error.errors())}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{file} cannot be read: it is nested too deeply") from error
