"""HEAD, OPTIONS and what is asked in the wrong way."""

import pytest
from service.conftest import Asked, Make, sample

GOOD = sample("shape-transaction")


@pytest.mark.parametrize(
    "path", ["/fhir/metadata", "/fhir/ResearchStudy/cfmsc", "/healthz", "/readyz", "/openapi.json"]
)
def test_head_is_get_without_its_body(service: Asked, path: str) -> None:
    got, head = service("GET", path), service("HEAD", path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize(
    ("path", "status"), [("/fhir/ResearchStudy/none", 404), ("/fhir", 405), ("/fhir/async/0", 404)]
)
def test_head_of_what_is_not_there_has_no_body_either(service: Asked, path: str, status: int) -> None:
    head = service("HEAD", path)
    assert (head.status_code, head.content) == (status, b"")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/fhir", "OPTIONS, POST"),
        ("/fhir/metadata", "GET, HEAD, OPTIONS"),
        ("/fhir/async/0", "DELETE, GET, HEAD, OPTIONS"),
        ("/fhir/Patient/p1", "DELETE, GET, HEAD, OPTIONS, POST, PUT"),
        ("/fhir/hook/ehr", "OPTIONS, POST, PUT"),
    ],
)
def test_options_and_a_wrong_method_say_what_can_be_asked(service: Asked, path: str, methods: str) -> None:
    options = service("OPTIONS", path)
    assert (options.status_code, options.content) == (204, b"")
    wrong = service("PATCH", path)
    assert (wrong.status_code, wrong.json()["issue"][0]["code"]) == (405, "not-supported")
    for answer in (options, wrong):
        assert answer.headers["allow"] == methods
        assert "access-control-allow-origin" not in answer.headers


def test_options_of_nothing_is_nothing(service: Asked) -> None:
    assert service("OPTIONS", "/nothing").status_code == 404


def test_options_needs_a_token_like_all_else(make: Make, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("t") / "tokens.toml"
    path.write_text(f'[[client]]\nname = "a"\nsha256 = "{"0" * 64}"\nscopes = []\n')
    service = make(tokens_file=path)
    assert service("OPTIONS", "/fhir").status_code == 401
    assert service("HEAD", "/fhir/ResearchStudy").status_code == 401


@pytest.mark.parametrize(
    "prefer", ["wait=10", "respond-sync", "return=everything", "foo; bar=baz, x", ",;=", "return", "handling=odd"]
)
def test_what_is_not_known_in_prefer_is_passed_over(service: Asked, prefer: str) -> None:
    assert service("POST", "/fhir", GOOD, Prefer=prefer).status_code == 200
