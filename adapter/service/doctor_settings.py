"""Which settings are wrong, each by its name; and the best to be made of them, so that the rest can be checked."""

import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_settings import PydanticBaseSettingsSource, SettingsConfigDict

from adapter.errors import AdapterError
from adapter.service.doctor import Checked, fault, ok, warning
from adapter.service.settings import FILE, PREFIX, UNPROTECTED, Settings, read_settings

_CHECK = "settings"
_NAME = re.compile(r"\w{1,80}", re.ASCII)
_SET = f"set it as docs/http.md says, by {PREFIX}<NAME> or in the file of {FILE}"


class _Lenient(Settings):
    """The settings, where a name that is not known does no harm."""

    model_config = SettingsConfigDict(extra="ignore")


class _WithoutFile(_Lenient):
    """The settings of the environment alone: the file cannot be read."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[Any],  # noqa: ARG003 (the signature is pydantic's)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the same)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the same)
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave the file out."""
        return (init_settings, env_settings)


def check_settings(given: Mapping[str, object]) -> Iterator[Checked]:
    """Say each setting that is wrong, not known, or that opens the service more than it need be."""
    settings = best_settings(given)
    try:
        settings = read_settings(**given)
    except AdapterError as error:
        for issue in error.issues:
            todo = "make the file readable TOML, or set the settings in the environment"
            yield fault(_CHECK, issue.message, todo if issue.code == "settings-file" else _SET)
    else:
        named = sorted(settings.model_fields_set)
        yield ok(_CHECK, f"every setting can be used; set here: {', '.join(named) or 'none, all are the defaults'}")
    yield from _unknown_variables()
    if settings.allow_unprotected == UNPROTECTED:
        todo = "set TLS and a tokens_file, and take allow_unprotected away"
        yield warning(_CHECK, "allow_unprotected is set: patient data may be sent in the open", todo)
    if settings.target is None:
        todo = "set target to the base of the FHIR server that results are written to"
        yield warning(_CHECK, "no target is set: results are kept, and delivered to nobody", todo)


def best_settings(given: Mapping[str, object]) -> Settings:
    """Give the settings with the default in place of each that is wrong; raises nothing."""
    for kind in (_Lenient, _WithoutFile):
        try:
            return _mended(kind, given)
        except Exception:  # noqa: BLE001, S112 (the wrong ones are told by check_settings; here the rest is wanted)
            continue
    return Settings.model_construct()


def _mended(kind: type[Settings], given: Mapping[str, object]) -> Settings:
    known: dict[str, Any] = {name: value for name, value in given.items() if name in kind.model_fields}
    try:
        return kind(**known)
    except ValidationError as wrong:
        names = {str(each["loc"][0]) for each in wrong.errors(include_input=False) if each["loc"]}
    defaults = {name: kind.model_fields[name].get_default() for name in names if name in kind.model_fields}
    return kind(**(known | defaults))


def _unknown_variables() -> Iterator[Checked]:
    """Say variables that look like settings and are none: nobody else would tell of a slip of the pen."""
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in (*known, FILE):
            meant = get_close_matches(name.upper(), known, 1)
            todo = f"{meant[0]} is meant, perhaps" if meant else "take it away; docs/http.md has the settings"
            shown = name if _NAME.fullmatch(name) else f"a variable that begins with {PREFIX}"
            yield warning(_CHECK, f"{shown} is no setting, and does nothing", todo)
