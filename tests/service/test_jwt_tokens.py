"""A signed token is believed only as far as its issuer, its key, its times and its audience go."""

import asyncio
import datetime
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from service.conftest import NOW
from service.issuer import (
    AUDIENCE,
    EC,
    ISS,
    KEYS,
    OTHER,
    RSA,
    by_hand,
    claims,
    issuer_row,
    jwk,
    jwks,
    signed,
    tokens_file,
)
from service.issuer import public_pem as pem

from adapter.errors import AdapterError
from adapter.service.access_file import read_access_file
from adapter.service.issuer_keys import ASKED_S, FRESH_S, STALE_S, KeysAway
from adapter.service.jwt_tokens import LEEWAY_S, JwtTokens
from adapter.service.known import Client, NotKnown

URL = "https://ehr.example.org/jwks.json"


class Remembered:
    def __init__(self) -> None:
        self.names: set[tuple[str, str]] = set()

    def is_new(self, issuer: str, token_id: str, until: datetime.datetime) -> bool:
        assert until > NOW
        known = (issuer, token_id) in self.names
        self.names.add((issuer, token_id))
        return not known


class Time:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def make(folder: Path, time: Time | None = None, **row: str) -> Callable[[str], Client]:
    path = tokens_file(folder, issuer_row(**row))
    tokens = JwtTokens(read_access_file(path).issuer, folder, Remembered(), lambda: NOW, time or Time())
    return lambda token: asyncio.run(tokens.client(token, "/fhir"))


def now(seconds: float = 0) -> float:
    return NOW.timestamp() + seconds


@pytest.mark.parametrize(("kid", "alg"), [("ec", "ES384"), ("rsa", "RS384")])
def test_a_token_says_who_it_is_and_what_it_may(tmp_path: Path, kid: str, alg: str) -> None:
    client = make(tmp_path)(signed(claims(NOW), kid, alg))
    assert client == Client("ehr:lab-engine", frozenset(("ingest", "read")))


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (signed(claims(NOW, exp=now(-LEEWAY_S))), "expired"),
        (signed(claims(NOW, exp=None)), "expired"),
        (signed(claims(NOW, exp=math.nan)), "times"),
        (signed(claims(NOW, exp=True)), "times"),
        (signed(claims(NOW, exp=str(int(now(60))))), "times"),
        (signed(claims(NOW, exp=1e300)), "holds-too-long"),
        (signed(claims(NOW, nbf=now(LEEWAY_S + 1))), "not-yet"),
        (signed(claims(NOW, iat=now(LEEWAY_S + 1))), "not-yet"),
        (signed(claims(NOW, aud="https://elsewhere.example.org")), "audience"),
        (signed(claims(NOW, aud=f"https://elsewhere.example.org {AUDIENCE}")), "audience"),
        (signed(claims(NOW, aud=None)), "audience"),
        (signed(claims(NOW, aud=[7, None])), "audience"),
        (signed(claims(NOW, iss="https://evil.example.org")), "issuer-unknown"),
        (signed(claims(NOW, iss=None)), "issuer-unknown"),
        (signed(claims(NOW, iss=[ISS])), "issuer-unknown"),
        (signed(claims(NOW, sub=None)), "claim"),
        (signed(claims(NOW, sub="lab\nengine")), "claim"),
        (signed(claims(NOW, sub="x" * 101)), "claim"),
        (signed(claims(NOW), key=OTHER), "signature"),
        (signed(claims(NOW))[:-6] + "AAAAAA", "signature"),
        (signed(claims(NOW), "nobody", key=EC), "key-unknown"),
        (signed(claims(NOW), None), "key-unknown"),
        (signed(claims(NOW), "rsa", "ES384", EC), "key-unknown"),
        (signed(claims(NOW), "ec", "RS384", RSA), "key-unknown"),
        (signed(claims(NOW), "short", "RS384"), "key-unknown"),
        (signed(claims(NOW), "rsa", "RS256"), "algorithm"),
        (signed(claims(NOW), "rsa", "PS384"), "algorithm"),
        (by_hand(claims(NOW), "none", None), "algorithm"),
        (by_hand(claims(NOW), "None", None), "algorithm"),
        (by_hand(claims(NOW), "HS256", pem()), "algorithm"),
        (by_hand(claims(NOW), "RS384", pem()), "signature"),
        (by_hand(claims(NOW), "RS384", None), "signature"),
        (signed(claims(NOW), jku="https://evil.example.org/jwks.json"), "header"),
        (signed(claims(NOW), jku=""), "signed"),
        (signed(claims(NOW), x5u="https://evil.example.org/x"), "header"),
        (signed(claims(NOW), jwk=jwk("ec", OTHER), key=OTHER), "header"),
        (signed(claims(NOW), crit=["exp"], exp=1), "token-unreadable"),
        (signed(claims(NOW), typ="dpop+jwt"), "type"),
        ("a.b.c", "token-unreadable"),
        ("e30.e30.", "issuer-unknown"),
        (f"{'e30'}.{'W10'}.AAAA", "token-unreadable"),
    ],
)
def test_a_token_that_is_wrong_is_nobodys(tmp_path: Path, token: str, reason: str) -> None:
    if reason == "signed":
        assert make(tmp_path)(token).name == "ehr:lab-engine", "an empty jku names no place"
        return
    with pytest.raises(NotKnown) as refused:
        make(tmp_path)(token)
    assert refused.value.reason == reason


def test_clocks_may_be_half_a_minute_apart(tmp_path: Path) -> None:
    ask = make(tmp_path, max_seconds="300")
    assert ask(signed(claims(NOW, exp=now(1 - LEEWAY_S), iat=now(LEEWAY_S), nbf=now(LEEWAY_S))))
    assert ask(signed(claims(NOW, exp=now(300 + LEEWAY_S))))
    with pytest.raises(NotKnown, match="holds-too-long"):
        ask(signed(claims(NOW, exp=now(301 + LEEWAY_S))))


def test_older_algorithms_hold_where_they_are_named(tmp_path: Path) -> None:
    ask = make(tmp_path, algorithms='["RS256"]')
    assert ask(signed(claims(NOW), "rsa", "RS256")).name == "ehr:lab-engine"
    with pytest.raises(NotKnown, match="algorithm"):
        ask(signed(claims(NOW)))


def test_a_token_for_one_call_holds_for_one_call(tmp_path: Path) -> None:
    ask = make(tmp_path, single_use="true")
    assert ask(signed(claims(NOW, jti="a")))
    assert ask(signed(claims(NOW, jti="b")))
    with pytest.raises(NotKnown, match="used-before"):
        ask(signed(claims(NOW, jti="a", exp=now(200))))
    for jti in (None, "", 7, "x" * 256):
        with pytest.raises(NotKnown, match="jti-missing"):
            ask(signed(claims(NOW, jti=jti)))
    with pytest.raises(NotKnown, match="signature"):
        ask(signed(claims(NOW, jti="c"), key=OTHER))
    assert ask(signed(claims(NOW, jti="c"))), "a forged token uses up nobody's"


@pytest.mark.parametrize(
    ("scope", "may"),
    [
        ("system/Bundle.c", {"ingest"}),
        (["system/Bundle.c", "admin"], {"ingest", "admin"}),
        ("system/Bundle.crs", set()),
        ("ADMIN", set()),
        (None, set()),
        (7, set()),
    ],
)
def test_only_scopes_that_are_named_allow_anything(tmp_path: Path, scope: object, may: set[str]) -> None:
    assert make(tmp_path)(signed(claims(NOW, scope=scope))).scopes == may
    assert make(tmp_path, grants='["ingest"]')(signed(claims(NOW, scope=scope))).scopes == {*may, "ingest"}


def test_a_tenant_comes_from_the_file_or_from_a_claim(tmp_path: Path) -> None:
    assert make(tmp_path, tenant='"north"')(signed(claims(NOW))).tenant == "north"
    ask = make(tmp_path, tenant_claim='"tenant"')
    north, south = (ask(signed(claims(NOW, tenant=each))) for each in ("north", "south"))
    assert (north.tenant, south.tenant) == ("north", "south")
    assert north.name != south.name, "receipts are kept by the client's name, and tenants must not meet there"
    sly = ask(signed(claims(NOW, sub="lab-engine@north", tenant="south")))
    assert sly.name not in (north.name, south.name)
    for tenant in (None, "", "north@south", ["north"], "x" * 65):
        with pytest.raises(NotKnown, match="claim"):
            ask(signed(claims(NOW, tenant=tenant)))


def test_two_keys_of_one_name_are_none(tmp_path: Path) -> None:
    path = tokens_file(tmp_path, issuer_row())
    (tmp_path / "jwks.json").write_text(json.dumps(jwks(jwk("ec", OTHER))))
    tokens = JwtTokens(read_access_file(path).issuer, tmp_path, Remembered(), lambda: NOW, Time())
    with pytest.raises(NotKnown, match="key-unknown"):
        asyncio.run(tokens.client(signed(claims(NOW)), "/fhir"))
    assert asyncio.run(tokens.client(signed(claims(NOW), "rsa", "RS384"), "/fhir"))


@pytest.mark.parametrize(
    "change", [{"use": "enc"}, {"alg": "RS384"}, {"key_ops": ["sign"]}, {"crv": "P-256"}, {"x": "!"}]
)
def test_a_key_for_something_else_verifies_nothing(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tokens_file(tmp_path, issuer_row())
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [jwk("ec") | change, jwk("rsa")]}))
    tokens = JwtTokens(read_access_file(path).issuer, tmp_path, Remembered(), lambda: NOW, Time())
    with pytest.raises(NotKnown, match="key-unknown"):
        asyncio.run(tokens.client(signed(claims(NOW)), "/fhir"))


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"keys": []}', json.dumps({"keys": [{"kty": "oct", "kid": "a", "k": "AAAA"}]}), "\xff"],
)
def test_a_file_of_keys_that_is_none_stops_the_start(tmp_path: Path, text: str) -> None:
    path = tokens_file(tmp_path, issuer_row())
    (tmp_path / "jwks.json").write_text(text)
    with pytest.raises(AdapterError, match="issuer ehr"):
        JwtTokens(read_access_file(path).issuer, tmp_path, Remembered(), lambda: NOW)


def test_new_keys_are_asked_for_and_withdrawn_ones_forgotten(tmp_path: Path) -> None:
    time, was, new = Time(), jwk("ec"), jwk("new", OTHER)
    path = tokens_file(tmp_path, issuer_row(jwks_file="", jwks_url=f'"{URL}"'))
    tokens = JwtTokens(read_access_file(path).issuer, tmp_path, Remembered(), lambda: NOW, time)
    old_token, new_token = signed(claims(NOW)), signed(claims(NOW), "new", key=OTHER)

    async def ask(token: str) -> str:
        try:
            return (await tokens.client(token, "/fhir")).name
        except (NotKnown, KeysAway) as refused:
            return str(refused) or "away"

    async def told() -> None:
        with respx.mock() as net:
            place = net.get(URL).respond(json={"keys": [was]})
            assert await asyncio.gather(*(ask(old_token) for _ in range(5))) == ["ehr:lab-engine"] * 5
            assert place.call_count == 1
            assert [await ask(new_token) for _ in range(9)] == ["key-unknown"] * 9
            assert place.call_count == 1, "who makes up names of keys makes us ask no one"
            time.at += ASKED_S
            place.respond(json={"keys": [was, new]})
            assert await ask(new_token) == "ehr:lab-engine"
            assert place.call_count == 2
            place.respond(json={"keys": [new]})
            time.at += FRESH_S + 1
            assert await ask(old_token) == "key-unknown"
            place.respond(500)
            time.at += STALE_S - 1
            assert await ask(new_token) == "ehr:lab-engine"
            time.at += ASKED_S
            assert await ask(new_token) == "away"

    asyncio.run(told())


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        httpx.Response(302, headers={"Location": "https://evil.example.org/jwks"}),
        httpx.Response(200, content=b"{"),
        httpx.Response(200, content=json.dumps(jwks()).encode() + b" " * 300_000),
        httpx.ConnectError("no"),
        httpx.ReadTimeout("late"),
    ],
    ids=str,
)
def test_an_issuer_that_cannot_be_asked_is_no_reason_to_believe(tmp_path: Path, answer: Any) -> None:  # noqa: ANN401 (an answer or what is raised)
    ask = make(tmp_path, jwks_file="", jwks_url=f'"{URL}"')
    with respx.mock() as net:
        place = net.get(URL).mock(side_effect=[answer])
        with pytest.raises(KeysAway):
            ask(signed(claims(NOW)))
        assert place.call_count == 1
        assert len(net.calls) == 1, "a redirect is not followed"
    assert set(KEYS) == {"rsa", "ec", "short"}


def test_a_file_of_keys_is_read_again_when_a_key_is_missing(tmp_path: Path) -> None:
    time = Time()
    ask = make(tmp_path, time)
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [jwk("new", OTHER)]}))
    new = signed(claims(NOW), "new", key=OTHER)
    with pytest.raises(NotKnown, match="key-unknown"):
        ask(new)
    assert ask(signed(claims(NOW)))
    time.at += ASKED_S
    assert ask(new)
    with pytest.raises(NotKnown, match="key-unknown"):
        ask(signed(claims(NOW)))
    (tmp_path / "jwks.json").write_text("half a fi")
    time.at += FRESH_S + 1
    assert ask(new), "a file that is being written is no reason to know nobody"


def test_the_issuers_own_jku_is_no_lie(tmp_path: Path) -> None:
    ask = make(tmp_path, jwks_file="", jwks_url=f'"{URL}"')
    with respx.mock() as net:
        net.get(URL).respond(json=jwks())
        assert ask(signed(claims(NOW), jku=URL)).name == "ehr:lab-engine"
