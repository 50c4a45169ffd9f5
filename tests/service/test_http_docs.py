"""The guide names every address, setting, scope and status, and nothing that is not there."""

import re
from pathlib import Path
from typing import get_args

from service.conftest import Asked

from adapter.service.access import Right
from adapter.service.settings import PREFIX, UNPROTECTED, Settings

GUIDE = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")


def test_every_setting_is_told_and_every_told_setting_is_one() -> None:
    table = GUIDE.partition("## Settings")[2].partition("## Tokens")[0]
    told = {name for row in re.findall(r"^\|(.*?)\|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert told == set(Settings.model_fields)
    assert PREFIX in GUIDE
    assert UNPROTECTED in GUIDE


def test_every_address_is_told(service: Asked) -> None:
    paths = service("GET", "/openapi.json").json()["paths"]
    told = re.findall(r"`(?:(?:GET|POST) )?(/[^` ]+)`", GUIDE)
    plain = {re.sub(r"\{.*?\}", "{}", each) for each in told}
    assert {re.sub(r"\{.*?\}", "{}", each) for each in paths} <= plain


def test_every_scope_is_told() -> None:
    assert all(f"`{scope}`" in GUIDE for scope in get_args(Right))
