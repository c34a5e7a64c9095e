"""The program by itself: what it says, and the signals that a running server takes."""
import json
import os
import resource
import signal
import subprocess
import time

from harness import TestCase, program


class Program(TestCase):
    def test_version_is_said(self):
        done = subprocess.run([program, "version"], capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("0.1.0", done.stdout)

    def test_unknown_subcommand_is_wrong_use(self):
        done = subprocess.run([program, "no-such-thing"], capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 2)

    def test_output_that_cannot_be_written(self):
        server = self.server().start()
        for words in (["view", "--url", server.url], ["version"], ["sample", "--rows", "10000"], ["completion", "bash"]):
            with self.subTest(words=words):
                with open("/dev/full", "w") as full:
                    done = subprocess.run([program, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
                self.assertEqual(done.returncode, 2, done)
                self.assertIn("standard output cannot be written: No space left on device", done.stderr)
                nobody, pipe = os.pipe()
                os.close(nobody)
                try:  # as `| head` leaves it: no error
                    done = subprocess.run([program, *words], stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=60)
                finally:
                    os.close(pipe)
                self.assertEqual((done.returncode, done.stderr), (0, ""), done)

    def lines_with(self, server, words, count):
        """Waits until the log has so many lines with these words."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            lines = [line for line in server.log.read_text().splitlines() if words in line]
            if len(lines) >= count:
                return lines
            time.sleep(0.02)
        self.fail(f"{words!r} is not {count} times in the log:\n{server.log_tail()}")

    def test_a_start_without_descriptors_names_the_limit(self):
        for limit in (5, 8, 11, 14):  # at the log, the views, and the network
            with self.subTest(limit=limit):
                done = subprocess.run(
                    [program, "serve", "--data", str(self.directory / f"data-{limit}"), "--listen", "127.0.0.1:0"],
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
                    stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 3, done)
                last = [json.loads(line) for line in done.stderr.splitlines() if '"error"' in line][-1]
                self.assertIn("LimitNOFILE=", last["message"] + last.get("cause", ""), done.stderr)

    def test_sighup_takes_over_what_can_be_and_names_the_rest(self):
        config = self.directory / "tidemill.toml"
        config.write_text('[log]\nlevel = "info"\n')
        server = self.server("--config", str(config)).start()
        body = b'{"InvoiceNo":"1","x":"' + b"x" * 3000 + b'"}'
        post = lambda: server.post("/v1/streams/retail/records", body, {"Content-Type": "application/json"}).status
        self.assertEqual(post(), 200)

        config.write_text('[limits]\nrecord = "1KiB"\nmemory = "128MiB"\n')
        server.process.send_signal(signal.SIGHUP)
        taken = self.lines_with(server, "SIGHUP: configuration read again", 1)
        self.assertEqual(json.loads(taken[0])["taken_over"], "limits.record")
        restart = self.lines_with(server, "SIGHUP: this change needs a restart", 1)
        self.assertEqual(json.loads(restart[0])["key"], "limits.memory")
        self.assertEqual(post(), 413)

        config.write_text("[limits]\nrecrd = 1\n")  # a mistake changes nothing, and is said in the log's own format
        server.process.send_signal(signal.SIGHUP)
        mistake = self.lines_with(server, "SIGHUP: a mistake in the configuration", 1)
        self.assertIn("tidemill.toml:2: unknown key 'limits.recrd'", json.loads(mistake[0])["cause"])
        self.assertEqual(post(), 413)
        self.assertEqual(server.stop(), 0)
        for line in server.log.read_text().splitlines():
            json.loads(line)
