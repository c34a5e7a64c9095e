"""bench/run tidies up after itself."""
import os
import subprocess
import sys

from harness import TestCase, program, root


class Bench(TestCase):
    def test_a_workload_that_fails_leaves_no_server_behind(self):
        programs = self.directory / "bin"
        programs.mkdir()
        noted = self.directory / "server"
        # In the place of the load generator: notes which server it was to load, and fails.
        wrk = programs / "wrk"
        wrk.write_text(f"#!/bin/sh\nfor a; do case $a in http://*) echo $a > {noted};; esac; done\nexit 1\n")
        wrk.chmod(0o755)
        env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "TIDEMILL_PROGRAM": program}
        done = subprocess.run([sys.executable, str(root / "bench/run"), "--quick", "--no-build", "--only", "batch", "--json",
                               str(self.directory / "out.json")], env=env, cwd=self.directory, capture_output=True,
                              text=True, timeout=120)
        self.assertNotEqual(done.returncode, 0, done)
        port = noted.read_text().split(":")[2].split("/")[0]
        self.assertEqual(self.listening(port), [], "the server is still there")

    def listening(self, port):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
            except OSError:
                continue
            if b"serve" in command and f"127.0.0.1:{port}".encode() in command:
                found.append(int(pid))
        return found
