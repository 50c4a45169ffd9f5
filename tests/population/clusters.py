"""One process that screens several populations by Spark on two cores, as the command would, with files cut small."""

import gzip
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from population.crowds import FORMATS, SMALL_PARTS
from population.exported import AS_OF, sample_patients, write_bundles, write_export
from reading.chart import a1c, newer, older, patient

MASTER = os.environ.get("SPARK_MASTER", "local[2]")
"""Another one, such as ``local-cluster[2,1,1024]``, has its executors in processes of their own."""
_BEGUN = """
import json
from pyspark.sql import SparkSession
builder = SparkSession.builder.master(os.environ["SPARK_TEST_MASTER"])
for name, value in {
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.files.maxPartitionBytes": "150000",
    "spark.sql.files.openCostInBytes": "1000",
    "spark.log.level": "OFF",
    "spark.ui.showConsoleProgress": "false",
}.items():
    builder = builder.config(name, value)
spark = builder.getOrCreate()
codes = []
for asked in json.loads(sys.argv[1]):
    sys.stderr.write("\\0")
    codes.append(cli.main(asked))
spark.stop()
sys.stdout.write(json.dumps(codes))
"""


def why_not() -> str | None:
    """Say why Spark cannot be tried here."""
    if importlib.util.find_spec("pyspark") is None:
        return "PySpark, the extra [spark], is not installed"
    java = os.environ.get("JAVA_HOME")
    if shutil.which("java") is None and not (java and (Path(java) / "bin" / "java").exists()):
        return "Spark needs Java, and there is none"
    return None


def asked(path: str, out: str, formats: Sequence[str] = FORMATS) -> list[str]:
    """Give the words of the command, but for the engine's."""
    words = [word for each in formats for word in ("--format", each)]
    return ["screen", path, "--as-of", AS_OF, *words, "--out", out]


def by_spark(runs: list[list[str]]) -> tuple[list[int], list[list[str]]]:
    """Let one session screen everything; gives of each run the exit code and what it said on stderr."""
    given = json.dumps([[*each, "--engine", "spark", "--quiet"] for each in runs])
    surroundings = {**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_TEST_MASTER": MASTER}
    done = subprocess.run(
        [sys.executable, "-c", f"{SMALL_PARTS}{_BEGUN}", given],
        capture_output=True,
        text=True,
        check=False,
        env=surroundings,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]), [each.splitlines() for each in done.stderr.split("\0")[1:]]


def write_damaged(folder: Path) -> Path:
    """Write what is wrong with real data: in files of bundles, and in an export that is packed in part."""
    patients = sample_patients()[:6]
    bundles = write_bundles(folder / "documents", patients)
    (bundles / "broken.json").write_text('{"resourceType": "Bundle", "entry": [')
    (bundles / "packed[1] %20.json.gz").write_bytes(gzip.compress((bundles / "0001.json").read_bytes(), mtime=0))
    (bundles / "cut.json.gz").write_bytes(gzip.compress((bundles / "0002.json").read_bytes(), mtime=0)[:-40])
    (bundles / "empty.json").write_bytes(b"")
    lines = [(bundles / f"000{number}.json").read_text() for number in range(3, 6)]
    text = "\n".join([*lines, json.dumps(patient("alone")), '{"resourceType": "Bundle"']).encode()
    (bundles / "lines.ndjson.gz").write_bytes(gzip.compress(text * 40, mtime=0))
    (bundles / "lines.ndjson").write_bytes("\ufeff".encode() + text.replace(b"\n", b"\r\n") * 3)
    people = [patient("p1"), patient("p2"), patient("p3")]
    versions = [a1c("x", 8.4, "2026-10-20", meta={"versionId": "1"}), a1c("x", 6.0, "2026-10-20")]
    others = [a1c("s1", 8, "2026-10-20", "Patient/gone"), a1c("b", 8.0, "2026-10-01", "Patient/p2")]
    bare, lost = newer(), newer(subject=True)
    del bare["id"]
    nobody = newer(id="n")
    del nobody["subject"]
    export = write_export(folder / "export", [*people, *versions, *others, bare, lost, nobody, older()])
    write_export(folder / "export", [one for each in sample_patients()[6:20] for one in each], files=2, packed=True)
    with (export / "Observation.000.ndjson").open("ab") as stream:
        stream.write(b"\n" + json.dumps(newer(note="\u00e4"), ensure_ascii=False).encode("latin-1") + b"\n\n")
        stream.write(json.dumps(newer())[:-20].encode() + b"\n" + json.dumps({"resourceType": "Bundle"}).encode())
    (export / "Procedure.9.ndjson").write_bytes(b"")
    packed = next(export.glob("Condition.001.ndjson.gz"))
    packed.write_bytes(packed.read_bytes()[:-30])
    return folder
