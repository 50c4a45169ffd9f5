"""A hospital system sends us its messages: every one is acknowledged, alone and under load."""

from reliability.running import Running
from sekmet.hospital_system import PEER, HospitalSystem

SCENARIO = "messaging_adt_orders"
USERS, SECONDS = 4, 10


def test_every_step_of_the_scenario_passes(system: tuple[HospitalSystem, Running]) -> None:
    hospital, _ = system
    code, told = hospital.run("scenario", "run", SCENARIO, "--peer", PEER)
    assert code == 0, told
    assert told.count("PASSED") == 7  # six steps, and the whole
    assert "1/1 scenarios passed" in told


def test_a_load_run_has_no_failure(system: tuple[HospitalSystem, Running]) -> None:
    hospital, service = system
    gates = ("--max-error-rate", "0", "--max-iteration-failure", "0")
    code, told = hospital.run("load", "run", SCENARIO, "--peer", PEER, "-u", f"{USERS}", "-d", f"{SECONDS}", *gates)
    assert code == 0, told
    print(f"\n{told}")  # noqa: T201 (the figures of docs/performance.md)
    report = hospital.report("load.json")
    assert report["iterations"] > 0
    assert report["failures"] == []
    assert (report["server_error_rate_pct"], report["iteration_failure_rate_pct"]) == (0, 0)
    assert service.ask("/readyz")[0] == 200
