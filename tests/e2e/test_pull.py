"""`pull` against a hub on the loopback interface: it resumes what breaks off, verifies digests, and the folder appears whole or not at all."""

import hashlib
import http.server
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

import harness

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "Some-One/Tiny-Model"


def git_id(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Hub(http.server.ThreadingHTTPServer):
    """What a hub answers; `broken` files end after so many bytes of an answer, each time."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        weights = bytes(range(256)) * 4096
        self.large = {"model.safetensors": weights}
        self.small = {"config.json": b'{"model_type": "qwen3"}', "tokenizer.json": b"{}", "vocab.txt": b"", "README.md": b"# x\n"}
        self.others = {"onnx/model.onnx": b"x", ".gitattributes": b"x", "pytorch_model.bin": b"old", "../../escape.json": b"x"}
        self.broken, self.damaged, self.ranges, self.token, self.failures, self.redirect = {}, set(), True, None, [], False
        self.seen, self.status = [], None
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # curl leaves when it has what it wants

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_port}"

    def listing(self):
        files = [{"rfilename": name, "size": len(content), "blobId": git_id(b"pointer"),
                  "lfs": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 135}}
                 for name, content in self.large.items()]
        files += [{"rfilename": name, "size": len(content), "blobId": git_id(content)}
                  for name, content in {**self.small, **self.others}.items()]
        return json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": files}).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        hub = self.server
        hub.seen.append((self.path, self.headers.get("Range"), self.headers.get("Authorization")))
        if hub.failures:
            return self.answer(hub.failures.pop(0))
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            return self.answer(401)
        if self.path == f"/api/models/{REPOSITORY}/revision/main?blobs=true":
            return self.answer(200, hub.listing())
        match = re.fullmatch(f"/{REPOSITORY}/resolve/{COMMIT}/([^/]+)", self.path)
        if hub.redirect and match:
            return self.answer(302, Location=f"/cdn/{match.group(1)}")
        match = match or re.fullmatch("/cdn/([^/]+)", self.path)
        content = {**hub.large, **hub.small}.get(match.group(1)) if match else None
        if content is None:
            return self.answer(404)
        name = match.group(1)
        if name in hub.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start, status = 0, 200
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and hub.ranges:
            start, status = int(asked.group(1)), 206
            if start >= len(content):
                return self.answer(416)
        part = content[start:]
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part[:hub.broken.get(name, len(part))])
        if name in hub.broken:
            self.close_connection = True


@unittest.skipIf(shutil.which("curl") is None, "curl is absent")
class Pull(unittest.TestCase):
    def setUp(self):
        self.hub = Hub()
        self.addCleanup(self.hub.server_close)
        self.addCleanup(self.hub.shutdown)
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def pull(self, *flags, repository=REPOSITORY, **variables):
        env = harness.environment(HF_ENDPOINT=self.hub.endpoint, HOME=str(self.folder), no_proxy="127.0.0.1", **variables)
        for name in ("HF_TOKEN", "HF_HOME"):
            if name not in variables:
                env.pop(name, None)
        return harness.run("pull", repository, *flags, env=env, cwd=self.folder)

    def assert_whole(self, name="models/tiny-model"):
        expected = {**self.hub.large, **self.hub.small}
        self.assertEqual({path.name: path.read_bytes() for path in (self.folder / name).iterdir()}, expected)
        self.assertFalse((self.folder / f"{name}.partial").exists())

    def fails(self, result, status, *words):
        self.assertEqual(result.returncode, status, result.stderr)
        last = result.stderr.strip().split("\n")[-1]
        for word in words:
            self.assertIn(word, last)

    def test_the_folder_is_whole_and_nothing_else_comes_with_it(self):
        result = self.pull()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_whole()
        self.assertIn(COMMIT, result.stdout)
        self.assertEqual([seen for seen in self.hub.seen if "onnx" in seen[0] or "escape" in seen[0] or ".bin" in seen[0]], [])

    def test_goes_on_where_it_broke_off(self):
        self.hub.broken["model.safetensors"] = 300_000
        result = self.pull()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_whole()
        ranges = [seen[1] for seen in self.hub.seen if seen[0].endswith("model.safetensors")]
        self.assertEqual(ranges, [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"])

    def test_a_second_run_goes_on(self):
        self.hub.broken["model.safetensors"] = 0
        self.fails(self.pull("--retries", "0"), 1, "model.safetensors", "goes on from there")
        self.assertFalse((self.folder / "models/tiny-model").exists())
        part = self.folder / "models/tiny-model.partial/model.safetensors.part"
        part.write_bytes(self.hub.large["model.safetensors"][:500_000])
        self.hub.broken.clear()
        self.hub.seen.clear()
        self.assertEqual(self.pull().returncode, 0)
        self.assert_whole()
        self.assertEqual([seen[1] for seen in self.hub.seen if seen[0].endswith("model.safetensors")], ["bytes=500000-"])
        self.assertFalse([seen for seen in self.hub.seen if seen[0].endswith("config.json")], "what is verified is not fetched again")

    def test_a_part_that_is_wrong_is_fetched_again(self):
        partial = self.folder / "models/tiny-model.partial"
        partial.mkdir(parents=True)
        (partial / "model.safetensors.part").write_bytes(b"\1" * 500_000)
        (partial / "left_over.json").write_bytes(b"of another revision")
        result = self.pull()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("another digest", result.stderr)
        self.assert_whole()

    def test_a_hub_without_ranges(self):
        partial = self.folder / "models/tiny-model.partial"
        partial.mkdir(parents=True)
        (partial / "model.safetensors.part").write_bytes(self.hub.large["model.safetensors"][:500_000])
        self.hub.ranges = False
        result = self.pull()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_whole()

    def test_damage_is_refused(self):
        for name in ("config.json", "model.safetensors"):
            with self.subTest(name=name):
                self.hub.damaged = {name}
                self.fails(self.pull("--retries", "0"), 65, name, "digest")
                self.assertFalse((self.folder / "models/tiny-model").exists())

    def test_a_busy_hub_is_asked_again(self):
        self.hub.failures = [503, 429]
        result = self.pull()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_whole()

    def test_redirections_are_followed(self):
        self.hub.redirect = True
        self.assertEqual(self.pull().returncode, 0)
        self.assert_whole()

    def test_a_token_opens_and_its_absence_is_told(self):
        self.hub.token = "hf_secret"
        self.fails(self.pull(), 66, "401", "HF_TOKEN")
        result = self.pull(HF_TOKEN="hf_secret")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_whole()
        self.assertNotIn("hf_secret", result.stdout + result.stderr)

    def test_what_is_there_is_compared_and_left(self):
        self.assertEqual(self.pull().returncode, 0)
        again = self.pull()
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("complete", again.stdout)
        (self.folder / "models/tiny-model/config.json").write_bytes(b"edited")
        self.fails(self.pull(), 73, "config.json", "--output")
        self.assertEqual((self.folder / "models/tiny-model/config.json").read_bytes(), b"edited")

    def test_a_hub_without_an_address(self):
        result = self.pull("--endpoint", "http://nowhere.invalid", http_proxy="", all_proxy="", ALL_PROXY="")
        self.fails(result, 1, "nowhere.invalid")
        self.assertNotIn("kept", result.stderr, "nothing has arrived")
        self.assertEqual(result.stderr.count("trying again"), 1)

    def test_a_dry_run_writes_nothing(self):
        result = self.pull("--dry-run", "--output", "elsewhere")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("model.safetensors  1048576  sha256:", result.stdout)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_wrong_names_and_answers(self):
        self.fails(self.pull(repository="../../etc"), 2, "no name of a repository")
        self.fails(self.pull("--revision", "../x"), 2, "--revision")
        self.fails(self.pull("--endpoint", "ftp://x"), 2, "https://")
        self.fails(self.pull(repository="no/body"), 66, "404")
        for name in ("config.json", "tokenizer.json"):
            kept = self.hub.small.pop(name)
            self.fails(self.pull(), 66, name)
            self.hub.small[name] = kept
        self.hub.listing = lambda: b"[1]"
        self.fails(self.pull(), 65, "no list")
        self.hub.listing = lambda: json.dumps({"sha": COMMIT, "siblings": [{"rfilename": "config.json", "size": 1}]}).encode()
        self.fails(self.pull(), 65, "no digest")

    def test_the_wrapper_script(self):
        (self.folder / "configs").mkdir()
        result = subprocess.run(
            [str(harness.SOURCE / "scripts/download_model.sh"), REPOSITORY], capture_output=True, text=True, timeout=60 * harness.PATIENCE,
            env=harness.environment(HF_ENDPOINT=self.hub.endpoint, HOME=str(self.folder), no_proxy="127.0.0.1", QWEN_BINARY=harness.BINARY,
                                    QWEN_HOME=str(self.folder)))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_whole()


if __name__ == "__main__":
    harness.main()
