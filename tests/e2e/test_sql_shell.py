"""`tidemill sql` on a terminal: a pseudo-terminal types, and reads what a person would see."""
import fcntl
import os
import pty
import re
import select
import signal
import stat
import struct
import subprocess
import termios
import time

from harness import TestCase, program

prompt = "tidemill> "


class Terminal:
    """The shell in a terminal of 100 columns. type() waits until what is expected shows."""

    def __init__(self, test, url, home, arguments=()):
        self.test = test
        parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        env = {k: v for k, v in os.environ.items() if k not in ("XDG_STATE_HOME", "LC_ALL", "LANG", "LC_CTYPE")}
        env.update(HOME=str(home), TERM="xterm")
        self.process = subprocess.Popen([program, "sql", "--url", url, *arguments], stdin=child, stdout=child,
                                        stderr=child, env=env, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(child)
        self.fd = parent
        self.seen = b""
        test.addCleanup(self.close)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.fd)

    def wait_for(self, text, timeout=20):
        """What came up to and with `text`."""
        wanted = text.encode()
        end = time.monotonic() + timeout
        while wanted not in self.seen:
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                self.test.fail(f"{text!r} did not come; there was {self.seen.decode(errors='replace')!r}")
            try:
                self.seen += os.read(self.fd, 65536)
            except OSError:
                self.test.fail(f"the shell ended before {text!r}; there was {self.seen.decode(errors='replace')!r}")
        at = self.seen.index(wanted) + len(wanted)
        came, self.seen = self.seen[:at], self.seen[at:]
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", came.decode(errors="replace")).replace("\r\n", "\n")

    def press(self, keys):
        """When the shell reads keys: before, the terminal would echo them itself, and keep Ctrl-D."""
        end = time.monotonic() + 20
        while termios.tcgetattr(self.fd)[3] & termios.ICANON and time.monotonic() < end:
            time.sleep(0.005)
        os.write(self.fd, keys.encode())

    def type(self, keys, expected=prompt):
        self.press(keys)
        return self.wait_for(expected)

    def end(self, keys="\x04"):
        self.press(keys)
        return self.process.wait(20)


class SqlShell(TestCase):
    def setUp(self):
        super().setUp()
        self.tidemill = self.server().start()
        lines = [{"InvoiceNo": "1", "Quantity": 2, "UnitPrice": 1.5, "CustomerID": "17850", "Country": "日本"},
                 {"InvoiceNo": "2", "Quantity": 1, "UnitPrice": 2.5, "CustomerID": "9", "Country": "Österreich"},
                 {"InvoiceNo": "3", "Quantity": 10, "UnitPrice": 1, "CustomerID": "10"}]
        self.assertEqual(self.tidemill.post("/v1/streams/retail/records?ack=view", lines).status, 200)

    def shell(self, *arguments):
        terminal = Terminal(self, self.tidemill.url, self.directory, arguments)
        self.assertIn("2 views", terminal.wait_for(prompt))
        return terminal

    def test_statements_over_several_lines_and_aligned_tables(self):
        shell = self.shell()
        shell.type("SELECT customer_id, country,\r", "       -> ")
        shell.type("units, 'a;\r", "       '> ")
        said = shell.type("b' AS t FROM customers ORDER BY units;\r", "rows")
        self.assertRegex(said, r"customer_id  country     units  t\n-----------  ----------  -----  ----\n"
                               r"9            Österreich      1  a; b\n17850        日本            2  a; b\n"
                               r"10           NULL           10  a; b\n\(3 rows")
        self.assertRegex(shell.wait_for(prompt), r"as of 3 at \d{4}-\d\d-\d\dT[\d:.]+Z\)")
        self.assertEqual(shell.type("SELECT 1; SELECT 2;\r", "2\r\n(1 row)\r\n" + prompt).count("(1 row)"), 2)
        self.assertEqual(shell.end(), 0)

    def test_completion_and_history(self):
        shell = self.shell()
        # What the terminal shows of a completion is pieces; the answer and the history tell what became of it.
        said = shell.type("SELECT cou\tr\tFROM cust\tORDER BY 1;\r", "3 rows")
        self.assertRegex(said, r"country\n-+\nNULL\n")
        shell.wait_for(prompt)
        shell.type("SELECT 1 FROM c\t\t\t", "ustomers ")
        shell.type("\x03", prompt)
        shell.type("SELECT cust\t\t", "customer_id  customers\r\n")  # both, side by side
        shell.type("\x03", prompt)
        # Another shell finds it.
        shell = self.shell()
        shell.type("\x1b[A", "SELECT country FROM customers ORDER BY 1;")
        self.assertIn("Österreich", shell.type("\r", prompt))
        shell.type("\x12ORD", "ORDER BY 1;")  # and looks for it
        shell.type("\x03", prompt)
        self.assertEqual(shell.end("quit\r"), 0)
        history = self.directory / ".local/state/tidemill/sql_history"
        self.assertEqual(history.read_text().splitlines()[0], "SELECT country FROM customers ORDER BY 1;")
        self.assertEqual(stat.S_IMODE(history.stat().st_mode), 0o600)

    def test_ctrl_c_throws_away_or_cancels(self):
        shell = self.shell()
        shell.type("SELECT 'nonsense", "nonsense")
        shell.type("\x03", prompt)
        shell.type("SELECT 'x\r", "'> ")
        shell.type("\x03", prompt)
        os.write(shell.fd, b"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT max(x) FROM c;\r")
        shell.wait_for("FROM c;\r\n")
        began = time.monotonic()
        shell.process.send_signal(signal.SIGINT)
        self.assertIn("cancelled", shell.wait_for(prompt))
        self.assertLess(time.monotonic() - began, 4)  # it would have gone on for 5 s
        self.assertIn("42", shell.type("SELECT 6*7;\r", "row"))
        self.assertEqual(shell.end(), 0)

    def test_errors_say_where(self):
        shell = self.shell()
        shell.type("SELECT country,\r", "       -> ")
        said = shell.type("  'Ü', nope FROM customers;\r", "^\r\n" + prompt)
        self.assertIn("line 2, column 8: ", said)
        self.assertIn("\n  'Ü', nope FROM customers\n       ^\n", said)
        self.assertIn("Did you mean customers?", shell.type("SELECT 1 FROM custmers;\r", prompt + ""))
        self.tidemill.stop()
        self.assertIn("is the server running?", shell.type("SELECT 1;\r", ")\r\n" + prompt))
        self.assertEqual(shell.end(), 0)

    def test_commands(self):
        shell = self.shell("--format", "csv")
        self.assertIn("1,2\r\n", shell.type("VALUES(1,2);\r", "\n" + prompt))
        self.assertIn("The format is ndjson.", shell.type("\\format ndjson\r", "\n" + prompt))
        self.assertIn('{"a":null}', shell.type("SELECT NULL AS a;\r", "\n" + prompt))
        self.assertIn("There is no format xml", shell.type("\\format xml\r", "\n" + prompt))
        self.assertIn("Timing is on.", shell.type("\\timing\r", "\n" + prompt))
        self.assertRegex(shell.type("SELECT NULL AS a;\r", " ms\r\n" + prompt), r"Time: \d+\.\d ms")
        self.assertRegex(shell.type("\\d\r", "\n" + prompt), r"name +stream +rows .*\n-.*\ncustomers +retail +3 ")
        said = shell.type("\\d customers\r", ";\r\n\r\n" + prompt)
        self.assertRegex(said, r"customer_id +text +key\n")
        self.assertIn("shows all there is", said)
        self.assertIn("CREATE MATERIALIZED VIEW customers", said)
        self.assertIn("Ctrl-C", shell.type("help\r", "\n" + prompt))
        self.assertIn("There is no command \\nope", shell.type("\\nope\r", "\n" + prompt))
        self.assertEqual(shell.end("\\q\r"), 0)

    def test_without_a_terminal_it_reads_statements(self):
        done = subprocess.run([program, "sql", "--url", self.tidemill.url], capture_output=True, text=True, timeout=60,
                              input="SELECT units FROM customers\n  WHERE customer_id = 9; -- one\nVALUES(';');")
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("units\n1\ncolumn1\n;\n", "", 0))
        done = subprocess.run([program, "sql", "--url", self.tidemill.url], capture_output=True, text=True, timeout=60,
                              input="VALUES(1);\n\nSELECT nope;\nVALUES(2);")
        self.assertEqual((done.stdout, done.returncode), ("column1\n1\n", 2))
        self.assertIn("the statement at line 3: ", done.stderr)

    def test_where_no_server_is_it_says_so(self):
        self.tidemill.stop()
        terminal = Terminal(self, self.tidemill.url, self.directory)
        terminal.wait_for("is the server running?")
        self.assertEqual(terminal.process.wait(20), 3)
