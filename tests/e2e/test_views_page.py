"""The parts of docs/views.md that are typed: the tutorial from nothing, and how other programs get the same figures. Each
block of commands or of Python is run as it stands, in order, on a server of the test's own, and what it prints is held
against the block of text behind it. (The definitions under "By example" are run by tests/consumers/views/page_test.cc.)
"""
import importlib.util
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import threading
import unittest

from harness import TestCase, need, program, root
from operations_page import check_output

PAGE = root / "docs/views.md"
TUTORIAL, ELSEWHERE = "From nothing", "The same figures elsewhere"


def blocks(heading):
    """[(language, text, what it prints or None)] under this heading, up to the next one of any level."""
    found, here = [], None
    for match in re.finditer(r"(?m)^#+ (.*)$|^```(\w+)\n((?:.*\n)*?)```$", PAGE.read_text()):
        if match.group(1):
            here = match.group(1)
        elif here == heading and match.group(2) == "text":
            language, text, before = found[-1]
            assert before is None, f"two outputs in a row under {heading}"
            found[-1] = (language, text, match.group(3))
        elif here == heading:
            found.append((match.group(2), match.group(3), None))
    assert found, f"nothing to run under {heading}"
    return found


class ViewsPage(TestCase):
    def setUp(self):
        super().setUp()
        need("curl")
        self.host = self.server().start()
        self.env = {**os.environ, "PATH": f"{pathlib.Path(program).parent}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8",
                    "API_URL": self.host.url}

    def do(self, heading):
        for language, text, expected in blocks(heading):
            text = text.replace("127.0.0.1:7077", f"127.0.0.1:{self.host.port}")
            if text.startswith("tidemill view watch"):
                said = self.watch(text, expected)
            elif language in ("sh", "python"):
                said = self.run_block(["bash", "-eu", "-c"] if language == "sh" else [sys.executable, "-c"], text)
            else:
                continue
            if expected is not None:
                check_output(self, heading, expected, said)

    def run_block(self, command, text):
        done = subprocess.run([*command, text], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120, env=self.env, cwd=self.directory)
        self.assertEqual(done.returncode, 0, f"{text}\n{done.stdout}")
        return done.stdout

    def watch(self, text, expected):
        """Until it has printed as many lines as the page shows, and a line below the names; then Ctrl-C."""
        process = subprocess.Popen(shlex.split(text), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=self.env, cwd=self.directory)
        patience = threading.Timer(60, process.kill)
        patience.start()
        try:
            said = "".join(process.stdout.readline() for _ in range(len(expected.splitlines()) + 1))
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate()
        finally:
            patience.cancel()
        self.assertEqual(process.returncode, 0, said + errors)
        self.assertRegex(errors, r"^tidemill view watch: go on with --cursor \S+\n$")
        self.assertEqual(rest, "")
        return said

    def test_the_tutorial(self):
        self.do(TUTORIAL)
        self.do(ELSEWHERE)

    def follow_elsewhere(self, name, module, version):
        if importlib.util.find_spec(module) is None:
            raise unittest.SkipTest(f"{module} is not installed (python3 -m pip install {module}=={version})")
        self.do(TUTORIAL)
        self.do(ELSEWHERE)
        self.do(name)

    def test_duckdb_gets_the_same_figures(self):
        self.follow_elsewhere("DuckDB", "duckdb", "2.0.0")

    def test_pandas_gets_the_same_figures(self):
        self.follow_elsewhere("pandas", "pandas", "3.1.1")


class Page(unittest.TestCase):
    def test_its_links_lead_somewhere(self):
        page = PAGE.read_text()
        anchors = {re.sub(r"[^\w -]", "", t.lower()).strip().replace(" ", "-") for t in re.findall(r"(?m)^##+ (.*)$", page)}
        for target in re.findall(r"\]\(([^)]+)\)", page):
            file, _, anchor = target.partition("#")
            if file.startswith("https://"):
                continue
            if file:
                self.assertTrue((root / "docs" / file).exists(), target)
            else:
                self.assertIn(anchor, anchors)

    def test_every_function_is_named(self):
        words = (root / "consumers/views/words.cc").read_text()
        table = words[words.index("kFunctions[] = "):words.index("const Function* find_function")]
        section = re.search(r"(?ms)^## Functions\n(.*?)^## ", PAGE.read_text()).group(1)
        named = set(re.findall(r"`([a-z0-9_]+)[(`]", section))
        functions = set(re.findall(r'\{"([a-z0-9_]+)", "', table))
        self.assertGreater(len(functions), 60)
        self.assertEqual(functions - named, set())

    def test_every_aggregate_is_named(self):
        words = (root / "consumers/views/words.cc").read_text()
        table = words[words.index("struct AggregateFunction"):]
        table = table[table.index("= {"):table.index("};", table.index("= {"))]
        section = re.search(r"(?ms)^## Aggregates\n(.*?)^## ", PAGE.read_text()).group(1)
        named = set(re.findall(r"`([a-z0-9_]+)[(`]", section))
        aggregates = set(re.findall(r'\{"([a-z0-9_]+)",', table))
        self.assertGreater(len(aggregates), 15)
        self.assertEqual(aggregates - named, set())
