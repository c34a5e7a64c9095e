#!/usr/bin/env python3
"""Builds the fuzzers (preset `asan`: clang, AddressSanitizer, UndefinedBehaviorSanitizer), runs each over its kept
corpus, and then on for a while.

    tests/fuzz/run.py [--seconds N] [--only NAME] [--keep]

--seconds is for all of them together (180); 0 runs the corpus only. --keep adds to tests/fuzz/corpus what reaches
something new, as few and small inputs as do. A finding is a file in build/fuzz/findings; run it alone with
build/asan/tests/fuzz/NAME_fuzz FILE. The last line is "N passed, N failed, N skipped".
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
root = here.parent.parent
build = root / "build" / "asan"
corpora = here / "corpus"
findings = root / "build" / "fuzz" / "findings"
MAX_BYTES = {"commit": 20_000, "recovery": 600, "side_files": 12_000, "http": 3_000}
environment = {**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1", "ASAN_OPTIONS": "detect_leaks=1"}


def make():
    """Why it cannot be built here, or nothing."""
    clang = shutil.which("clang++-14")
    if not clang:
        return "clang++-14 is not installed (tools/setup --tests)"
    build.mkdir(parents=True, exist_ok=True)
    for command in (["cmake", "--preset", "asan"], ["cmake", "--build", str(build), "--target", "fuzzers"]):
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
        if done.returncode != 0:
            print(done.stdout[-4000:] + done.stderr[-2000:])
            raise SystemExit("fuzz: the build failed\n0 passed, 1 failed, 0 skipped")
    return None


def fuzz(name, seconds):
    """Corpus, then `seconds` more in as many processes as there are cores. (inputs, runs, coverage, finding)"""
    program = build / "tests" / "fuzz" / f"{name}_fuzz"
    kept = corpora / name
    grown = findings.parent / "corpus" / name
    place = findings / name
    for folder in (kept, grown, place):
        folder.mkdir(parents=True, exist_ok=True)
    options = [f"-artifact_prefix={place}/", f"-max_len={MAX_BYTES.get(name, 2_000)}", "-timeout=25", "-rss_limit_mb=2500",
               "-print_final_stats=1", "-len_control=20"]
    if seconds > 0:
        options.append(f"-max_total_time={seconds}")
    else:
        options.append("-runs=0")
    done = subprocess.run([program, *options, grown, kept], cwd=build, env=environment, capture_output=True, text=True,
                          errors="replace", timeout=seconds + 600)
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    cover = re.findall(r"cov: (\d+)", done.stderr)
    failed = done.returncode != 0
    if failed:
        print(done.stderr[-6000:])
    return len(list(kept.iterdir())), int(runs[1]) if runs else 0, int(cover[-1]) if cover else 0, failed


def keep(name):
    """The smallest set of inputs that reaches all that is reached."""
    program = build / "tests" / "fuzz" / f"{name}_fuzz"
    kept, new = corpora / name, findings.parent / "merged" / name
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    subprocess.run([program, "-merge=1", f"-max_len={MAX_BYTES.get(name, 2_000)}", new, kept, findings.parent / "corpus" / name],
                   cwd=build, env=environment, capture_output=True, check=True)
    # Few and small: those that come first in the merge reach most.
    shutil.rmtree(kept)
    kept.mkdir()
    left = 64 << 10
    for path in sorted(new.iterdir(), key=lambda p: p.stat().st_size):
        left -= path.stat().st_size
        if left < 0 or len(list(kept.iterdir())) >= 100:
            break
        shutil.copyfile(path, kept / path.name[:16])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    names = [p.name.removesuffix("_fuzz.cc") for p in sorted(here.glob("*_fuzz.cc")) if args.only in p.name]
    missing = make()
    if missing:
        print(f"fuzz: skipped: {missing}\n0 passed, 0 failed, {len(names)} skipped")
        return 0
    failed = 0
    for name in names:
        inputs, runs, cover, bad = fuzz(name, int(args.seconds / len(names)))
        failed += bad
        print(f"fuzz {name}: {inputs} kept inputs, {runs:,} runs, {cover} edges: "
              + (f"FOUND, see {findings / name}" if bad else "0 findings"), flush=True)
        if args.keep and not bad:
            keep(name)
    print(f"{len(names) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
