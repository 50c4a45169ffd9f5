"""An issuer of signed tokens, and all the ways in which a token can be wrong."""

import base64
import datetime
import hashlib
import hmac
import json
import warnings
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISS = "https://ehr.example.org/auth"
AUDIENCE = "https://adapter.example.org/fhir"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SHORT = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 (that it is refused is the test)
EC = ec.generate_private_key(ec.SECP384R1())
OTHER = ec.generate_private_key(ec.SECP384R1())
KEYS: dict[str, Any] = {"rsa": RSA, "ec": EC, "short": SHORT}


def jwk(name: str, key: Any = None, **more: object) -> dict[str, Any]:  # noqa: ANN401 (a private key of any kind)
    """Give the public half of a key as a JSON Web Key."""
    key = key or KEYS[name]
    kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    made: dict[str, Any] = json.loads(kind.to_jwk(key.public_key()))
    return {key: value for key, value in made.items() if key != "key_ops"} | {"kid": name, "use": "sig"} | more


def jwks(*more: dict[str, Any]) -> dict[str, Any]:
    return {"keys": [*(jwk(each) for each in KEYS), *more]}


def claims(now: datetime.datetime, **changed: object) -> dict[str, Any]:
    """Give what a good token says; None takes a claim away."""
    at = int(now.timestamp())
    usual = {
        "iss": ISS,
        "sub": "lab-engine",
        "aud": AUDIENCE,
        "iat": at,
        "exp": at + 240,
        "jti": f"j-{at}",
        "scope": "system/Bundle.c system/ResearchStudy.rs",
    }
    return {name: value for name, value in (usual | changed).items() if value is not None}


def signed(said: dict[str, Any], kid: str | None = "ec", alg: str = "ES384", key: Any = None, **header: object) -> str:  # noqa: ANN401 (a private key of any kind)
    """Sign a token; the header says what it is told to."""
    told = ({"kid": kid} if kid is not None else {}) | header
    # The part beneath the claims, which signs whatever it is given.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
        return jwt.PyJWS().encode(json.dumps(said).encode(), key or KEYS[kid or "ec"], algorithm=alg, headers=told)


def by_hand(said: dict[str, Any], alg: str, secret: bytes | None, kid: str = "rsa") -> str:
    """Make a token that no library makes: unsigned, or signed with what is public."""
    head = {"alg": alg, "typ": "JWT", "kid": kid}
    text = ".".join(_part(json.dumps(each).encode()) for each in (head, said))
    return f"{text}.{_part(hmac.new(secret, text.encode(), hashlib.sha256).digest()) if secret is not None else ''}"


def public_pem() -> bytes:
    return RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def tokens_file(folder: Path, *rows: str) -> Path:
    """Write a tokens file, and the issuer's keys beside it."""
    (folder / "jwks.json").write_text(json.dumps(jwks()))
    path = folder / "tokens.toml"
    path.write_text("\n".join(rows))
    return path


def client_row(name: str, token: str, scopes: str = '["ingest"]', **more: str) -> str:
    digest = hashlib.sha256(token.encode()).hexdigest()
    lines = [f'name = "{name}"', f'sha256 = "{digest}"', f"scopes = {scopes}"]
    return "\n".join(["[[client]]", *lines, *(f"{key} = {value}" for key, value in more.items())])


def issuer_row(**changed: str) -> str:
    """Give an issuer as the file has it; values as TOML, an empty one takes a line away."""
    usual = {
        "name": '"ehr"',
        "iss": f'"{ISS}"',
        "audience": f'["{AUDIENCE}"]',
        "jwks_file": '"jwks.json"',
        "scopes": '{"system/Bundle.c" = ["ingest"], "system/ResearchStudy.rs" = ["read"], "admin" = ["admin"]}',
    }
    return "\n".join(["[[issuer]]", *(f"{key} = {value}" for key, value in (usual | changed).items() if value)])
