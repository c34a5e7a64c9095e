#!/usr/bin/env python3
"""Runs the end-to-end tests: test_*.py in this folder, against the program in a build folder.

    tests/e2e/run.py [--build build/release] [--only REGEX] [--counts FILE] [--list]

Each test starts its own servers on ports that are free, in directories of its own, and stops them. A test whose tool
is missing is skipped, and named. The last line is "N passed, N failed, N skipped".
"""
import argparse
import os
import pathlib
import re
import sys
import time
import unittest

here = pathlib.Path(__file__).resolve().parent


class Result(unittest.TestResult):
    """One line per test, the trouble at once."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.skipped_names = []

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()
        print(f"{name_of(test)} ...", flush=True)

    def say(self, test, what, detail=""):
        print(f"{name_of(test)}: {what} ({time.monotonic() - self.began:.1f} s)", flush=True)
        if detail:
            print(detail, flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.say(test, "passed")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"{name_of(test)}: skipped: {reason}", flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say(test, "FAILED", self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        if hasattr(self, "began"):
            self.say(test, "FAILED", self.errors[-1][1])
        else:
            print(f"{test}: FAILED\n{self.errors[-1][1]}", flush=True)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.say(subtest, "FAILED", "".join(self._exc_info_to_string(err, test)))


def name_of(test):
    return ".".join(test.id().split(".")[:]) if hasattr(test, "id") else str(test)


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--only", default="")
    parser.add_argument("--counts")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()

    program = pathlib.Path(args.build).resolve() / "tidemill"
    if not program.exists():
        print(f"e2e: {program} is not there: build the target tidemill first")
        return 1
    os.environ["TIDEMILL_PROGRAM"] = str(program)
    sys.path.insert(0, str(here))
    tests = list(flatten(unittest.defaultTestLoader.discover(str(here), pattern="test_*.py")))
    tests = [t for t in tests if re.search(args.only, t.id())]
    if args.list:
        print("\n".join(t.id() for t in tests))
        return 0
    result = Result()
    unittest.TestSuite(tests).run(result)
    failed = len({str(t) for t, _ in result.failures + result.errors})
    skipped = len(result.skipped)
    line = f"{result.passed} passed, {failed} failed, {skipped} skipped"
    if args.counts:
        pathlib.Path(args.counts).write_text(f"{result.passed} {failed} {skipped}\n")
    print(line)
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
