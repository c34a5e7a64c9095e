"""The program by itself, without a server."""
import os
import subprocess
import unittest

program = os.environ.get("TIDEMILL_PROGRAM", "build/release/tidemill")


class Program(unittest.TestCase):
    def test_version_is_said(self):
        done = subprocess.run([program, "version"], capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("0.1.0", done.stdout)

    def test_unknown_subcommand_is_wrong_use(self):
        done = subprocess.run([program, "no-such-thing"], capture_output=True, text=True, timeout=20)
        self.assertNotEqual(done.returncode, 0)
