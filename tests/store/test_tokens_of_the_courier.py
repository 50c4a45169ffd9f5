"""The courier signs in as SMART Backend Services, once more after a 401, and shows its token to nobody else."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from delivery.delivery_server import Json, Reply, outcome
from store.couriers import Clock, courier, drain, result, shown, states
from store.kept import put_in
from store.picky_server import PickyServer

from adapter.delivery.settings import Server, server_settings
from adapter.store.ledger import Store
from adapter.store.outbox import Courier, Manner
from adapter.store.transport import FhirTransport, NoAnswer

CLIENT = "trial-adapter-of-the-site"
SCOPES = "system/GuidanceResponse.crus system/Provenance.crus system/ResearchSubject.crus"


class TokenServer(PickyServer):
    """A FHIR server with a token endpoint beside it; it forgets a token when ``forgets`` is set."""

    def __init__(self, key: PrivateKeyTypes, algorithm: str) -> None:
        super().__init__()
        self._public = key.public_key()  # type: ignore[union-attr]  # both kinds have one
        self._algorithm = algorithm
        self.given: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.scopes: list[str] = []
        self.forgets = False

    def answer(self, method: str, path: str, body: Json | None, headers: dict[str, str]) -> Reply | None:
        if path.endswith("/.well-known/smart-configuration"):
            assert "authorization" not in headers
            return 200, {}, {"token_endpoint": f"{self.url}/token"}
        if path.endswith("/token"):
            assert "authorization" not in headers
            assert body is not None
            return self._token(body)
        if self.forgets and method == "POST":
            self.forgets = False
            self.given.append("none is known any more")
        if headers.get("authorization") != f"Bearer {self.given[-1]}":
            return 401, {}, outcome("who are you", code="login")
        return super().answer(method, path, body, headers)

    def _token(self, form: Json) -> Reply:
        claims = jwt.decode(
            form["client_assertion"],
            self._public,  # type: ignore[arg-type]  # a key of either kind
            algorithms=[self._algorithm],
            audience=f"{self.url}/token",
            options={"require": ["iss", "sub", "aud", "exp", "jti"]},
        )
        assert claims["iss"] == claims["sub"] == CLIENT
        assert claims["exp"] - claims["iat"] <= 300
        assert claims["jti"] not in {each["jti"] for each in self.asked}
        self.asked.append(claims)
        self.scopes.append(form["scope"])
        self.given.append(f"token-{len(self.asked)}")
        return 200, {}, {"access_token": self.given[-1], "token_type": "bearer", "expires_in": 300}


@pytest.fixture(params=["RS384", "ES384"])
def guarded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TokenServer]:
    key = rsa.generate_private_key(65537, 2048) if request.param == "RS384" else ec.generate_private_key(ec.SECP384R1())
    file = tmp_path / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    monkeypatch.setenv("TRIAL_ADAPTER_CLIENT_ID", CLIENT)
    monkeypatch.setenv("TRIAL_ADAPTER_PRIVATE_KEY_FILE", str(file))
    with TokenServer(key, request.param) as running:
        yield running


def test_it_signs_in_by_itself_and_keeps_the_token(store: Store, guarded: TokenServer) -> None:
    put_in(store, *[result(patient=f"p{number}") for number in range(3)])
    drain(courier(store, guarded))
    assert states(store) == {"delivered": 3}
    assert len(guarded.asked) == 1
    assert guarded.scopes == [SCOPES]


def test_with_a_fallback_it_asks_for_that_too(store: Store, guarded: TokenServer) -> None:
    put_in(store, result())
    drain(courier(store, guarded, Manner(fallback="task")))
    assert guarded.scopes == [f"{SCOPES} system/Task.crus"]


def test_a_token_that_is_refused_is_asked_for_once_more(store: Store, guarded: TokenServer) -> None:
    put_in(store, result(), result(patient="p2"))
    one = courier(store, guarded)
    assert one.deliver_one()
    guarded.forgets = True
    assert one.deliver_one()
    assert states(store) == {"delivered": 2}
    assert len(guarded.asked) == 2


def test_a_server_that_refuses_every_token_is_asked_once_more_and_then_later(
    timed: Store, clock: Clock, guarded: TokenServer
) -> None:
    guarded.before = lambda method, *_: (401, {}, None) if method == "POST" else None
    put_in(timed, result())
    one = courier(timed, guarded)
    drain(one)
    assert (shown(timed).state, shown(timed).last_error) == ("pending", "http-401")
    assert len(guarded.asked) == 2
    guarded.before = lambda *_: None
    clock.later()
    drain(one)
    assert states(timed) == {"delivered": 1}


class Elsewhere:
    """Another origin, which remembers what it was sent."""

    def __init__(self) -> None:
        self.heard: list[dict[str, str]] = []

    def __enter__(self) -> Self:
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def _handle(self) -> None:
                heard.append(dict(self.headers.items()))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_GET = do_POST = do_PUT = _handle  # noqa: N815 (the names of the standard library)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("conditional", [False, True])
def test_no_redirect_takes_the_token_elsewhere(
    store: Store, guarded: TokenServer, status: int, *, conditional: bool
) -> None:
    with Elsewhere() as elsewhere:
        guarded.before = lambda method, *_: (
            (status, {"Location": f"{elsewhere.url}/fhir"}, None) if method == "POST" else None
        )
        put_in(store, result())
        drain(courier(store, guarded, Manner(conditional=conditional)))
        assert states(store) == {"dead": 1}
        assert elsewhere.heard == []


@pytest.mark.parametrize(
    "link",
    [
        "{elsewhere}/fhir?page=2",
        "//{host}/fhir?page=2",
        "http://user:secret@{own}/fhir?page=2",
        "http://{own}.example.org/fhir",
        "file:///etc/passwd",
        "http://[::1]:1/fhir",
    ],
)
def test_no_next_page_takes_the_token_elsewhere(guarded: TokenServer, link: str) -> None:
    with Elsewhere() as elsewhere:
        own = guarded.url.removeprefix("http://").removesuffix("/fhir")
        told = link.format(elsewhere=elsewhere.url, host=elsewhere.url.removeprefix("http://"), own=own)
        transport = FhirTransport(server_settings(guarded.url, {}))
        with pytest.raises(NoAnswer):
            transport.follow(told)
        assert elsewhere.heard == []
        assert guarded.requests == []


def test_a_certificate_that_is_not_trusted_is_told_and_nothing_is_sent(store: Store) -> None:
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with PickyServer() as running, other.cert_pem.tempfile() as trusted:
        running._http.socket = context.wrap_socket(running._http.socket, server_side=True)
        url = running.url.replace("http://", "https://")
        put_in(store, result())
        Courier(store, FhirTransport(Server(url, ca_bundle=trusted))).deliver_one()
        assert (shown(store).state, shown(store).last_error) == ("pending", "no-trust")
        assert running.requests == []
