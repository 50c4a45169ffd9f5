"""S4: whoever is not who they say, or asks for what they may not, is told 401, 403 or 404, and nothing else."""

import datetime
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from service.conftest import NOW, Asked, Make, sample
from service.issuer import EC, OTHER, RSA, by_hand, claims, client_row, issuer_row, public_pem, signed, tokens_file
from service.served import Served, served

GOOD = sample("shape-transaction")
TOKEN, NORTH, SOUTH = "engine-" + "0" * 40, "north-" + "1" * 40, "south-" + "2" * 40
CANARY = "SYN-11190"


def rows() -> tuple[str, ...]:
    return (
        client_row("engine", TOKEN, '["ingest"]'),
        client_row("north", NORTH, '["ingest", "read"]', tenant='"north"'),
        client_row("south", SOUTH, '["ingest", "read"]', tenant='"south"'),
        issuer_row(max_seconds="300", single_use="true"),
    )


def matrix(now: Callable[..., dict[str, object]]) -> dict[str, tuple[str | None, int]]:
    """Give each way to ask, and what is answered; ``now`` gives the claims of a good token, changed."""
    at = int(str(now()["iat"]))
    return {
        "none": (None, 401),
        "bad": ("Bearer not-a-token-of-ours", 401),
        "bad form": ("Bearer", 401),
        "basic where no client has it": ("Basic ZW5naW5lOngxMjM0NTY3OA==", 401),
        "expired": (f"Bearer {signed(now(exp=at - 31))}", 401),
        "not yet": (f"Bearer {signed(now(nbf=at + 200))}", 401),
        "alg none": (f"Bearer {by_hand(now(), 'none', None)}", 401),
        "HS256 with the public key": (f"Bearer {by_hand(now(), 'HS256', public_pem())}", 401),
        "key of another type": (f"Bearer {signed(now(), 'rsa', 'ES384', EC)}", 401),
        "RS256 where RS384 is asked for": (f"Bearer {signed(now(), 'rsa', 'RS256', RSA)}", 401),
        "unknown kid": (f"Bearer {signed(now(), 'nobody', key=EC)}", 401),
        "signed by someone else": (f"Bearer {signed(now(), key=OTHER)}", 401),
        "foreign jku": (f"Bearer {signed(now(), jku='https://evil.example.org/jwks', key=OTHER)}", 401),
        "wrong audience": (f"Bearer {signed(now(aud='https://elsewhere.example.org'))}", 401),
        "another issuer": (f"Bearer {signed(now(iss='https://evil.example.org'))}", 401),
        "holds ten minutes": (f"Bearer {signed(now(exp=at + 600))}", 401),
        "no jti": (f"Bearer {signed(now(jti=None))}", 401),
        "missing scope": (f"Bearer {signed(now(scope='system/ResearchStudy.rs', jti='a'))}", 403),
        "no scope": (f"Bearer {signed(now(scope=None, jti='b'))}", 403),
        "good": (f"Bearer {signed(now(jti='c'))}", 200),
        "a token of ours": (f"Bearer {TOKEN}", 200),
    }


@pytest.fixture
def guarded(make: Make, tmp_path: Path) -> Asked:
    return make(tokens_file=tokens_file(tmp_path, *rows()))


def ask(service: Asked, token: str | None, **headers: str) -> tuple[int, str]:
    answer = service("POST", "/fhir", GOOD, **({"Authorization": token} if token else {}), **headers)
    return answer.status_code, answer.text


IN_PROCESS = matrix(lambda **changed: claims(NOW, **changed))


@pytest.mark.parametrize("way", IN_PROCESS)
def test_each_way_to_ask_has_its_answer(guarded: Asked, way: str) -> None:
    token, expected = IN_PROCESS[way]
    status, text = ask(guarded, token)
    assert status == expected, text
    if status in (401, 403):
        said = json.loads(text)
        assert said["issue"][0]["code"] == {401: "login", 403: "forbidden"}[status]
        assert CANARY not in text
        assert not guarded.store.deliveries
        assert not guarded.store.replies
        assert token is None or len(token) < 20 or token.split()[-1] not in guarded.log.getvalue()


def test_every_refusal_of_a_stranger_says_the_same(guarded: Asked) -> None:
    told = {ask(guarded, token)[1] for token, status in IN_PROCESS.values() if status == 401}
    assert len(told) == 1, "a difference would tell who guesses how near they are"
    reasons = {each.detail.get("why") for each in guarded.store.audit}
    assert {"expired", "audience", "signature", "algorithm", "jti-missing", "key-unknown"} <= reasons


def test_a_token_for_one_call_is_not_taken_twice(guarded: Asked) -> None:
    token = f"Bearer {signed(claims(NOW, jti='once'))}"
    assert [ask(guarded, token)[0] for _ in range(3)] == [200, 401, 401]


def test_what_one_tenant_sent_is_never_anothers(guarded: Asked) -> None:
    one, other = (
        guarded("POST", "/fhir", GOOD, Authorization=f"Bearer {token}", Idempotency_Key="k") for token in (NORTH, SOUTH)
    )
    assert (one.status_code, other.status_code) == (200, 200)
    assert "x-idempotent-replay" not in other.headers
    ours, theirs = (
        {each["response"]["location"] for each in answer.json()["entry"] if "location" in each["response"]}
        for answer in (one, other)
    )
    assert ours
    assert not ours & theirs, "the same patient has other results with another tenant"
    lanes = {each.lane for each in guarded.store.deliveries}
    assert len(lanes) == len(guarded.store.deliveries)
    untold = guarded("POST", "/fhir", GOOD, Authorization=f"Bearer {TOKEN}", Idempotency_Key="k")
    usual = {each["response"]["location"] for each in untold.json()["entry"] if "location" in each["response"]}
    assert not usual & (ours | theirs)


def test_results_that_an_operation_keeps_are_its_tenants(guarded: Asked) -> None:
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "data", "resource": json.loads(GOOD)}, {"name": "persist", "valueBoolean": True}],
    }
    for token in (NORTH, SOUTH):
        path = "/fhir/ResearchStudy/$evaluate-eligibility"
        assert guarded("POST", path, parameters, Authorization=f"Bearer {token}").status_code == 200
    north, south = guarded.store.deliveries
    assert north.lane != south.lane
    assert not {id_ for _, id_, _ in north.resources} & {id_ for _, id_, _ in south.resources}


def test_a_token_of_cds_hooks_opens_the_service_it_names(make: Make, tmp_path: Path) -> None:
    hooks = "https://adapter.example.org/cds-services/trial-eligibility"
    service = make(tokens_file=tokens_file(tmp_path, issuer_row(audience=f'["{hooks}"]')))
    token = f"Bearer {signed(claims(NOW, aud=hooks))}"
    assert service("POST", "/cds-services/trial-eligibility", {}, Authorization=token).status_code == 400
    assert service("POST", "/cds-services/trial-eligibility/feedback", {}, Authorization=token).status_code == 400
    assert service("POST", "/fhir", GOOD, Authorization=token).status_code == 401
    assert service("POST", "/cds-services/other", {}, Authorization=token).status_code == 401


def test_a_client_may_be_kept_to_some_addresses(make: Make, tmp_path: Path) -> None:
    row = client_row("ehr", TOKEN, '["ingest", "read"]', within='"/cds-services"')
    service = make(tokens_file=tokens_file(tmp_path, row))
    bearer = f"Bearer {TOKEN}"
    assert service("POST", "/cds-services/trial-eligibility", {}, Authorization=bearer).status_code == 400
    for path in ("/fhir", "/cds-services-and-more", "/fhir/ResearchStudy"):
        answer = service("POST", path, GOOD, Authorization=bearer)
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (403, "forbidden")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("s4")
    with served(folder, tokens_file=tokens_file(folder, *rows())) as found:
        yield found


def test_a_real_server_answers_the_same(real: Served) -> None:
    now = datetime.datetime.now(datetime.UTC)
    wrong = {}
    for way, (token, expected) in matrix(lambda **changed: claims(now, **changed)).items():
        headers = {"Content-Type": "application/fhir+json"} | ({"Authorization": token} if token else {})
        answer = httpx.post(f"{real.url}/fhir", content=GOOD, headers=headers)
        if answer.status_code != expected or (expected in (401, 403) and CANARY in answer.text):
            wrong[way] = answer.status_code
    assert not wrong


def test_a_tenants_job_is_not_there_for_another(real: Served) -> None:
    def headers(token: str) -> dict[str, str]:
        return {"Content-Type": "application/fhir+json", "Authorization": f"Bearer {token}", "Prefer": "respond-async"}

    begun = httpx.post(f"{real.url}/fhir", content=GOOD, headers=headers(NORTH))
    assert begun.status_code == 202
    place = begun.headers["Content-Location"]
    for token, statuses in ((SOUTH, {404}), (TOKEN, {403, 404}), (NORTH, {200, 202})):
        answer = httpx.get(place, headers=headers(token))
        assert answer.status_code in statuses
        assert answer.status_code != 404 or CANARY not in answer.text
    assert httpx.delete(place, headers=headers(SOUTH)).status_code == 404
