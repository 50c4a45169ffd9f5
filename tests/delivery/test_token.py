"""SMART Backend Services: who we are is signed, the token kept, renewed in time and once after a refusal."""

import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from delivery_server import FakeServer, Json, Reply
from exported import export
from small_trial import small_trial

from adapter.delivery.settings import server_settings
from adapter.errors import AdapterError

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
TRIALS = {"T1": small_trial()}
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP384R1())
SMALL_EC = ec.generate_private_key(ec.SECP256R1())


def pem(key: Key) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def jwk(key: Key, **more: str) -> str:
    algorithm = (
        jwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else jwt.algorithms.RSAAlgorithm
    )
    return json.dumps({**json.loads(algorithm.to_jwk(key)), **more})


class Hospital:
    """A server that takes only tokens it gave itself, for statements it can verify."""

    def __init__(self, server: FakeServer, key: Key, *, lasts_s: int = 300) -> None:
        self.server, self.key, self.lasts_s = server, key, lasts_s
        self.seen: list[dict[str, Any]] = []
        self.headers: list[dict[str, Any]] = []
        self.scopes: list[str] = []
        self.valid: str | None = None
        self.refuse = 0
        server.before = self.before

    def before(self, _: str, path: str, body: Json | None, headers: dict[str, str]) -> Reply | None:
        if path == ".well-known/smart-configuration":
            assert "authorization" not in headers
            return 200, {}, {"token_endpoint": f"{self.server.url}/token"}
        if path == "token":
            return self.give(body or {})
        if headers.get("authorization") != f"Bearer {self.valid}" or self.valid is None:
            return 401, {}, None
        if self.refuse:
            self.refuse -= 1
            self.valid = None
            return 401, {}, None
        return None

    def give(self, form: Json) -> Reply:
        assert form["grant_type"] == "client_credentials"
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        audience = f"{self.server.url}/token"
        stated = jwt.decode(form["client_assertion"], self.key.public_key(), ["RS384", "ES384"], audience=audience)
        assert stated["jti"] not in {each["jti"] for each in self.seen}
        assert stated["iss"] == stated["sub"] == "our-client"
        assert 0 < stated["exp"] - stated["iat"] <= 300
        self.seen.append(stated)
        self.headers.append(jwt.get_unverified_header(form["client_assertion"]))
        self.scopes.append(form["scope"])
        self.valid = f"token-{len(self.seen)}"
        return 200, {}, {"access_token": self.valid, "token_type": "Bearer", "expires_in": self.lasts_s}


def settings(server: FakeServer, tmp_path: Path, key: str, **more: str) -> dict[str, Any]:
    file = tmp_path / "key"
    file.write_text(key)
    environment = {"TRIAL_ADAPTER_CLIENT_ID": "our-client", "TRIAL_ADAPTER_PRIVATE_KEY_FILE": str(file), **more}
    return {"backend": server_settings(server.url, environment).backend}


@pytest.mark.parametrize(
    ("key", "text", "algorithm", "kid"),
    [
        (RSA, pem(RSA), "RS384", None),
        (EC, pem(EC), "ES384", None),
        (RSA, jwk(RSA, kid="k1"), "RS384", "k1"),
        (EC, jwk(EC, kid="k2"), "ES384", "k2"),
        (EC, '{"keys": [' + jwk(RSA, kid="k1") + "," + jwk(EC, kid="k2") + "]}", "ES384", "k2"),
    ],
    ids=["RSA PEM", "EC PEM", "RSA JWK", "EC JWK", "JWK Set"],
)
def test_one_token_is_asked_for_and_kept(
    server: FakeServer,
    tmp_path: Path,
    key: Key,
    text: str,
    algorithm: str,
    kid: str | None,
) -> None:
    hospital = Hospital(server, key)
    more = {"TRIAL_ADAPTER_KEY_ID": kid} if kid else {}
    export(server.url, TRIALS, settings=settings(server, tmp_path, text, **more))
    assert len(hospital.seen) == 1
    assert hospital.headers[0]["alg"] == algorithm
    assert hospital.headers[0].get("kid") == kid
    assert hospital.scopes == [
        "system/Group.crus system/PlanDefinition.crus system/ResearchStudy.crus system/ValueSet.crus"
    ]


def test_a_token_near_its_end_is_renewed(server: FakeServer, tmp_path: Path) -> None:
    hospital = Hospital(server, RSA, lasts_s=10)
    export(server.url, TRIALS, settings=settings(server, tmp_path, pem(RSA)))
    assert len(hospital.seen) > 1


def test_a_token_that_is_refused_is_renewed_once(server: FakeServer, tmp_path: Path) -> None:
    hospital = Hospital(server, RSA)
    hospital.refuse = 1
    export(server.url, TRIALS, settings=settings(server, tmp_path, pem(RSA)))
    assert len(hospital.seen) == 2
    hospital.refuse = 10_000
    with pytest.raises(AdapterError, match="HTTP 401"):
        export(server.url, TRIALS, settings=settings(server, tmp_path, pem(RSA)))


def test_a_refusal_of_the_token_endpoint_is_told(server: FakeServer, tmp_path: Path) -> None:
    server.before = lambda _m, path, *_: (
        (400, {}, {"error": "invalid_client", "error_description": "secret words"}) if path == "token" else None
    )
    more = {"TRIAL_ADAPTER_TOKEN_URL": f"{server.url}/token"}
    with pytest.raises(AdapterError, match=r"HTTP 400 \(invalid_client\)") as refused:
        export(server.url, TRIALS, settings=settings(server, tmp_path, pem(RSA), **more))
    assert "secret words" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        ("-----BEGIN PRIVATE KEY-----\nnonsense", {}, "no unencrypted private key"),
        ('{"kty": "RSA"}', {}, "0 private keys in it fit"),
        ('{"kty": "oct", "d": "AAAA"}', {}, "0 private keys in it fit"),
        (pem(SMALL_EC), {}, "does not fit"),
        (pem(RSA), {"TRIAL_ADAPTER_KEY_ALGORITHM": "ES384"}, "does not fit"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_without_a_word_of_it(
    server: FakeServer, tmp_path: Path, text: str, more: dict[str, str], said: str
) -> None:
    with pytest.raises(AdapterError, match=said) as refused:
        export(server.url, TRIALS, settings=settings(server, tmp_path, text, **more))
    assert "nonsense" not in str(refused.value)
    assert server.requests == []


def test_a_token_endpoint_that_the_server_names_must_be_safe(server: FakeServer, tmp_path: Path) -> None:
    server.before = lambda *_: (200, {}, {"token_endpoint": "http://fhir.example.org/token"})
    with pytest.raises(AdapterError, match="only by https"):
        export(server.url, TRIALS, settings=settings(server, tmp_path, pem(RSA)))
