"""The served OpenAPI document is true: schemathesis makes requests of it, right ones and wrong ones."""

import re
import subprocess
import sys

import pytest
from server_support import Server

EXAMPLES = 20  # of each operation and mode; more by hand: st run URL/openapi.json --max-examples 1000
# What a schema does not say (whether a prompt fits the context, which models there are) may be refused, so a 400 to a
# request that the schema allows is no failure; a 200 to one that it forbids is.
CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
          "negative_data_rejection", "unsupported_method", "missing_required_header"]  # fmt: skip


@pytest.fixture(scope="module")
def server(medlar, tiny, tmp_path_factory):
    # With a home of its own: it is asked to delete models, too.
    home = {"MEDLAR_HOME": str(tmp_path_factory.mktemp("home"))}
    with Server(medlar, tiny("llama"), "--parallel", "4", env=home) as running:
        yield running


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_every_operation(server, mode, tmp_path):
    document = server.json("/openapi.json")
    assert document["openapi"] == "3.1.0"
    command = [sys.executable, "-m", "schemathesis.cli", "run", server.url + "/openapi.json", "--mode", mode,
               "--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", "1", "--checks", ",".join(CHECKS),
               "--request-timeout", "60", "--no-color", "--exclude-path", "/api/pull"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=900)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    selected, tested = (int(re.search(rf"{word}: +(\d+)", done.stdout)[1]) for word in ("Selected", "Tested"))
    assert selected == tested > 15, done.stdout[-2000:]
    assert server.json("/health") == {"status": "ok"}
