"""The live service under schemathesis, which makes requests, good and bad ones, out of openapi.json: no answer may be one that the document
does not describe, and none a fault of the service; openapi-spec-validator says whether the document is OpenAPI. Runs itself under
QWEN_PYPI_PYTHON where that is set."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import harness

PYTHON = os.environ.get("QWEN_PYPI_PYTHON")
if PYTHON and os.environ.get("QWEN_PYPI_STARTED") != "1":
    os.environ["QWEN_PYPI_STARTED"] = "1"
    os.execv(PYTHON, [PYTHON, "-B", *sys.argv])

CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
          "response_schema_conformance", "negative_data_rejection", "unsupported_method", "allow_header_conformance")
# A deadline of a millisecond that is over is an answer, not a fault.
CONFIGURATION = '[checks]\nnot_a_server_error.expected-statuses = ["2xx", "4xx", "504"]\n'


class Conformance(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            import openapi_spec_validator  # noqa: F401
            import schemathesis  # noqa: F401
        except ImportError:
            raise unittest.SkipTest("schemathesis and openapi-spec-validator are not importable (set QWEN_PYPI_PYTHON)") from None
        cls.service = harness.Service(harness.needs_demo(), "--max-length", "24", "--max-completion-tokens", "24", "--log-level", "ERROR")
        cls.addClassCleanup(cls.service.close)

    def test_the_document_is_openapi(self):
        import openapi_spec_validator
        openapi_spec_validator.validate(self.service.get("/openapi.json").json())

    def test_the_service_answers_as_the_document_says(self):
        with tempfile.TemporaryDirectory() as folder:
            configuration = pathlib.Path(folder) / "schemathesis.toml"
            configuration.write_text(CONFIGURATION, encoding="utf-8")
            address = f"http://127.0.0.1:{self.service.port}/openapi.json"
            result = subprocess.run([sys.executable, "-m", "schemathesis.cli", "--config-file", configuration, "run", address, "--checks", ",".join(CHECKS),
                                     "--phases", "examples,coverage,fuzzing", "--max-examples", os.environ.get("QWEN_OPENAPI_EXAMPLES", "25"),
                                     "--seed", "1", "--suppress-health-check", "all", "--warnings", "off", "--no-color"],
                                    cwd=folder, capture_output=True, text=True, timeout=500 * harness.PATIENCE)
        self.assertEqual(result.returncode, 0, result.stdout[-20000:] + result.stderr[-5000:])
        self.assertEqual(self.service.get("/livez").status, 200)


if __name__ == "__main__":
    harness.main()
