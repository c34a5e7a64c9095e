"""Reads docs/operations.md and does what it says: each block of commands under a heading is run as it stands, on a server
of the test's own, and what it prints is held against the block of text behind it.

Only where things are is changed: /var/lib/tidemill, /etc/tidemill and the like become folders of the test, 127.0.0.1:7077
its server. `systemctl` and `journalctl` are played by two small scripts.
"""
import os
import re
import signal
import subprocess
import time

from harness import TestCase, program, root

page = root / "docs/operations.md"

systemctl = r"""#!/usr/bin/env bash
# Plays systemd for one service: start, stop, restart, reload, is-active.
here=$(dirname "$0")/..
running() { [ -s $here/pid ] && kill -0 "$(cat $here/pid)" 2>/dev/null; }
stop() {
  running || return 0
  kill -TERM "$(cat $here/pid)"
  while running; do sleep 0.02; done
}
start() {
  "$PROGRAM" serve --config $here/etc/tidemill.toml --log-format json >>$here/server.log 2>&1 </dev/null &
  echo $! >$here/pid
  for _ in $(seq 1500); do
    if ! running; then echo "Job for tidemill.service failed." >&2; return 1; fi
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$API_URL/readyz/ingest")" = 200 ] && return 0
    sleep 0.02
  done
  return 1
}
[ "${2:-}" = tidemill ] || { echo "systemctl: only for tidemill" >&2; exit 1; }
case $1 in
  start) running || start ;;
  stop) stop ;;
  restart) stop; start ;;
  reload) kill -HUP "$(cat $here/pid)" ;;
  is-active) if running; then echo active; else echo inactive; exit 3; fi ;;
  *) echo "systemctl: $1 is not played here" >&2; exit 1 ;;
esac
"""
journalctl = """#!/usr/bin/env bash
[ "$*" = "-u tidemill -o cat" ] || { echo "journalctl: only -u tidemill -o cat" >&2; exit 1; }
cat $(dirname "$0")/../server.log
"""
# Ownership is the package's part, and tests/e2e/test_package.py's: here all is the test's own user's.
owners = {
    "runuser": '#!/bin/sh\n[ "$1 $2 $3" = "-u tidemill --" ] || exit 1\nshift 3\nexec "$@"\n',
    "install": '#!/bin/sh\n[ "$1 $2 $3 $4 $5" = "-d -o tidemill -g tidemill" ] || exit 1\nshift 5\nexec /usr/bin/install -d "$@"\n',
    "chown": '#!/bin/sh\n[ "$1 $2" = "-R tidemill:tidemill" ] && [ -d "$3" ]\n',
}


def sections():
    """Heading -> [(commands, what they print or None)]."""
    found, heading, text = {}, "", page.read_text()
    for match in re.finditer(r"(?m)^#+ (.*)$|^```sh\n((?:.*\n)*?)```$|^```text\n((?:.*\n)*?)```$", text):
        if match.group(1):
            heading = match.group(1)
        elif match.group(2) is not None:
            found.setdefault(heading, []).append((match.group(2), None))
        else:
            commands, before = found[heading][-1]
            assert before is None, f"two outputs in a row under {heading}"
            found[heading][-1] = (commands, match.group(3))
    return found


def check_output(test, heading, expected, said):
    """Each line of the page is there, in that order; … stands for anything, a space for any number of them."""
    rest = said.splitlines()
    for line in expected.splitlines():
        parts = [r"\s+".join(re.escape(word) for word in part.split(" ")) for part in line.strip().split("…")]
        pattern = re.compile(".*".join(parts))
        at = next((i for i, got in enumerate(rest) if pattern.fullmatch(got.strip())), None)
        test.assertIsNotNone(at, f"under '{heading}' the page says\n  {line}\nand the commands said\n{said}")
        rest = rest[at + 1:]


class House(TestCase):
    """One server, as a package would have installed it, but in a folder."""

    def setUp(self):
        super().setUp()
        (self.directory / "bin").mkdir()
        (self.directory / "etc").mkdir()
        (self.directory / "srv").mkdir()
        for name, text in {"systemctl": systemctl, "journalctl": journalctl, **owners}.items():
            (self.directory / "bin" / name).write_text(text)
            (self.directory / "bin" / name).chmod(0o755)
        (self.directory / "bin/tidemill").symlink_to(program)
        self.env = {}  # besides, of what the page has done
        self.opening = ""  # what the page's reader has typed before, into the same shell
        self.host = self.server()  # to talk to; systemctl starts it
        self.data = self.host.data
        self.config = self.directory / "etc/tidemill.toml"
        printed = subprocess.run(
            [program, "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.host.port}", "--print-config"],
            capture_output=True, text=True, check=True)
        self.config.write_text(printed.stdout)
        self.addCleanup(self.end_server)

    def end_server(self):
        try:
            os.kill(int((self.directory / "pid").read_text()), signal.SIGKILL)
        except (OSError, ValueError):
            pass

    def here(self, text):
        for there, path in (("/var/lib/tidemill", self.data), ("/etc/tidemill", self.config.parent),
                            ("/srv/", f"{self.directory}/srv/"), ("/root/", f"{self.directory}/"),
                            ("tidemill.example.org:7077", f"localhost:{self.host.port}"), ("/var/backups", self.directory / "backups"),
                            ("127.0.0.1:7077", f"127.0.0.1:{self.host.port}")):
            text = text.replace(there, str(path))
        return text

    def shell(self, commands, statuses=(0,)):
        env = {**os.environ, "PATH": f"{self.directory}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PROGRAM": program,
               "API_URL": self.host.url, "LC_ALL": "C.UTF-8", **self.env}
        done = subprocess.run(["bash", "-eu", "-c", self.here(commands)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, env=env,
                              cwd=self.directory)
        self.assertIn(done.returncode, statuses, f"{commands}\n{done.stdout}")
        return done.stdout

    def take_keys(self):
        """A first key, made on the directory; from now on all is typed as the page says for a server with keys."""
        self.shell("umask 077; tidemill keys create operator --admin --data /var/lib/tidemill 2>/dev/null >/root/operator.key")
        ((self.opening, _),) = sections()["With keys"]

    def steps(self, heading):
        """Does what the page says under this heading, one block at a time."""
        for commands, expected in sections()[heading]:
            # It ends with 1 where something needs a hand, which is what one looks for with it.
            said = self.shell(self.opening + re.sub(r"(?m)^tidemill status$", "tidemill status || [ $? = 1 ]", commands))
            if expected is not None:
                check_output(self, heading, self.here(expected), said)
            yield said

    def follow(self, heading):
        return list(self.steps(heading))

    def wait_until(self, what, condition, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, f"not within {seconds} s: {what}\n{self.host.log_tail()}")
            time.sleep(0.05)

    def load(self, rows=20_000, seed=1):
        """Rows that are in, in both views and, after a stop, in text files."""
        csv = self.directory / "sample.csv"
        self.shell(f"tidemill sample --rows {rows} --seed {seed} >{csv}; tidemill load --quiet --again {csv}")
        self.host.sql("SELECT 1", self.host.token())
        return rows

    def group(self, name):
        return self.host.get(f"/v1/groups/{name}").json()
