"""Quantized weights kept in a file: a second start finds them and answers the same; a damaged file, a full folder or a second process at
the same moment harm nobody."""

import os
import pathlib
import re
import resource
import subprocess
import tempfile
import threading
import unittest

import harness

QUESTION = {"prompt": "什么是AES加密算法？", "max_length": 24, "do_sample": False}


class PackedCache(unittest.TestCase):
    def setUp(self):
        self.model = harness.needs_demo()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        if subprocess.run(["stat", "-f", "-c", "%T", folder.name], capture_output=True, text=True).stdout.strip() == "tmpfs":
            self.skipTest("TMPDIR is in memory, where no quantized weights are kept")
        self.folder = pathlib.Path(folder.name) / "cache"

    def serve(self, *flags, quantization="int4", **options):
        """The answer and what the service said while it started."""
        with harness.Service(self.model, "--quantization", quantization, "--log-level", "INFO", "--cache-dir", self.folder, *flags, **options) as service:
            text = service.post("/generate", QUESTION).json()["generated_text"]
            self.assertEqual(service.stop(), 0)
        return text, "".join(service.errors)

    def packed(self):
        file, = self.folder.iterdir()
        return file

    def test_the_second_start_reads_what_the_first_wrote(self):
        expected, said = self.serve()
        self.assertIn("for the next start; quantizing took", said)
        self.assertRegex(self.packed().name, r"^demo-[0-9a-f]{8}\.int4\.packed$")
        written = self.packed().stat()
        for flags, how in (([], "read in"), (["--weights", "mmap"], "mapped in")):
            text, said = self.serve(*flags)
            self.assertEqual(text, expected)
            self.assertIn("packed weights", said)
            self.assertIn(how, said)
        self.assertEqual((self.packed().stat().st_ino, self.packed().stat().st_mtime_ns), (written.st_ino, written.st_mtime_ns))

    def test_each_format_has_its_file(self):
        formats = ["int4", "int4-g64", "int8"]
        answers = {name: self.serve(quantization=name)[0] for name in formats}
        self.assertEqual({re.sub(r"^demo-[0-9a-f]{8}\.", "", file.name) for file in self.folder.iterdir()}, {f"{name}.packed" for name in formats})
        for name in formats:
            text, said = self.serve(quantization=name)
            self.assertEqual(text, answers[name])
            self.assertIn("read in", said)

    def test_a_file_that_others_may_change_is_not_believed(self):
        expected, _ = self.serve()
        self.assertEqual(self.packed().stat().st_mode & 0o022, 0)
        self.assertEqual(self.folder.stat().st_mode & 0o777, 0o700)
        self.packed().chmod(0o666)
        text, said = self.serve()
        self.assertEqual(text, expected)
        self.assertIn("may be written by others", said)
        self.assertIn("the weights are quantized again", said)
        self.assertEqual(self.packed().stat().st_mode & 0o022, 0)

    def test_mmap_without_a_file_is_warned_of(self):
        for folder, flags, why in ((self.folder, ["--kernels", "reference"], "the kernels reference keep no file"),
                                   ("none", [], "--cache-dir none keeps no file")):
            self.folder = folder
            _, said = self.serve("--weights", "mmap", *flags)
            self.assertEqual(said.count("--weights mmap changes nothing"), 1, said)
            self.assertIn(why, said)

    def test_the_first_start_may_map_too(self):
        expected, _ = self.serve()
        self.packed().unlink()
        text, said = self.serve("--weights", "mmap")
        self.assertEqual(text, expected)
        self.assertIn("quantizing took", said)
        self.assertIn("mapped in", said)

    def test_a_damaged_file_is_made_anew(self):
        expected, _ = self.serve()
        whole = self.packed().read_bytes()
        changed = bytearray(whole)
        changed[len(whole) // 2] ^= 16
        for damaged in (whole[:-1], whole[:5000], b"", bytes(changed)):
            self.packed().write_bytes(damaged)
            text, said = self.serve()
            self.assertEqual(text, expected)
            self.assertIn("the weights are quantized again", said)
            self.assertEqual(self.packed().read_bytes(), whole)

    def test_nowhere_to_write_is_told_with_what_it_costs(self):
        self.folder.write_text("not a folder")
        text, said = self.serve()
        self.assertIn("WARNING - quantized weights are in memory only: ", said)
        self.assertRegex(said, r"Quantizing took [\d.]+ s, as it will at every start; name a folder on a disk with --cache-dir")
        self.folder.unlink()
        self.assertEqual(self.serve()[0], text)

    def test_never_in_memory(self):
        if not os.path.ismount("/dev/shm"):
            self.skipTest("there is no /dev/shm")
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            self.folder = pathlib.Path(folder)
            self.assertIn("would lie in memory (tmpfs)", self.serve()[1])
            self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_full_disk_leaves_nothing(self):
        limit = 1 << 20  # of every file that the process writes
        text, said = self.serve(preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        self.assertIn("cannot be written: File too large", said)
        self.assertEqual(list(self.folder.iterdir()), [])
        self.assertEqual(self.serve()[0], text)

    def test_processes_that_start_together(self):
        expected, _ = self.serve()
        self.packed().unlink()
        answers, said = [None] * 4, [None] * 4

        def start(i):
            answers[i], said[i] = self.serve(*(["--weights", "mmap"] if i % 2 else []))

        threads = [threading.Thread(target=start, args=(i,)) for i in range(len(answers))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(answers, [expected] * len(answers))
        self.assertEqual(sum("for the next start" in text for text in said), 1, said)
        for text in said[1::2]:
            self.assertIn("mapped in", text)
        self.assertIn("read in", self.serve()[1])
        self.assertTrue(self.packed().name.endswith(".packed"))


if __name__ == "__main__":
    harness.main()
