#!/usr/bin/env python3
"""Plants one bug at a time in a copy of the tree and sees whether the tests notice.

A patch says in its first lines what is wrong and which tests must catch it. One that no longer applies, does not build
or is not caught is a failure: of the harness, which is the point. The product has no switch for any of this.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import time

here = pathlib.Path(__file__).resolve().parent
root = here.parent.parent
copy = root / "build" / "sabotage"


def git(*arguments, **keywords):
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True, **keywords).stdout


def run(*command, timeout=None):
    # The cache of compiled files may be used although they lie elsewhere.
    environment = {**os.environ, "CCACHE_BASEDIR": str(root.parent), "CCACHE_NOHASHDIR": "1"}
    return subprocess.run(command, cwd=copy, capture_output=True, text=True, errors="replace", timeout=timeout,
                          env=environment)


def refresh():
    """The copy is as the tree: only what differs is written, so that only that is built again."""
    wanted = set(git("ls-files", "--cached", "--others", "--exclude-standard").splitlines())
    for name in wanted:
        source, target = root / name, copy / name
        if not source.is_file():
            continue
        content = source.read_bytes()
        if target.is_file() and target.read_bytes() == content:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(source.stat().st_mode)
    for path in copy.rglob("*"):
        name = path.relative_to(copy)
        if path.is_file() and name.parts[0] != "build" and str(name) not in wanted:
            path.unlink()


def caught(patch):
    """None when the tests notice, else what went wrong."""
    text = patch.read_text()
    head = dict(line.split(": ", 1) for line in text.split("\n\n", 1)[0].splitlines())
    program, *arguments = head["Caught by"].split()
    applied = subprocess.run(["patch", "-p1", "--fuzz=2", "--no-backup-if-mismatch", "-s"], cwd=copy, input=text,
                             capture_output=True, text=True)
    if applied.returncode:
        return "does not apply: " + (applied.stdout + applied.stderr).strip()
    built = run("cmake", "--build", "build/release", "--target", program)
    if built.returncode:
        return "does not build:\n" + built.stdout[-3000:]
    try:
        tested = run(f"build/release/tests/{program}", *arguments, timeout=240)
    except subprocess.TimeoutExpired:
        return None  # hanging is noticed too
    return None if tested.returncode else f"NOT CAUGHT by {head['Caught by']}: {head['What']}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="patches, without .patch (all)")
    parser.add_argument("--some", type=int, metavar="N", help="only N of them, others with each commit")
    options = parser.parse_args()
    patches = sorted(here.glob("*.patch"))
    if options.names:
        patches = [p for p in patches if p.stem in options.names]
        if len(patches) != len(set(options.names)):
            parser.error("no such patch; there are: " + ", ".join(p.stem for p in sorted(here.glob("*.patch"))))
    if options.some:
        first = int(git("rev-parse", "HEAD")[:8], 16) % len(patches)
        patches = [patches[(first + i * 7) % len(patches)] for i in range(min(options.some, len(patches)))]

    copy.mkdir(parents=True, exist_ok=True)
    refresh()
    configured = run("cmake", "--preset", "release")
    if configured.returncode:
        sys.exit(configured.stdout + configured.stderr)
    missed = 0
    for patch in patches:
        begin = time.monotonic()
        wrong = caught(patch)
        refresh()
        print(f"  {patch.stem}: {wrong or 'caught'} ({time.monotonic() - begin:.0f} s)", flush=True)
        missed += wrong is not None
    print(f"sabotage: {len(patches) - missed} of {len(patches)} caught")
    print(f"{len(patches) - missed} passed, {missed} failed, 0 skipped")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
