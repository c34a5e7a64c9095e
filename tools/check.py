#!/usr/bin/env python3
"""Checks the code without running it. Called by tools/check.

  format   clang-format says nothing would change
  arrows   includes point downwards only, outside libraries stay at home, public headers stay light
  names    no file names a path of the machine it was written on
  length   files above 600 lines are named (a report, not a failure)
  patches  the planted bugs of tests/sabotage still apply
  syntax   clang accepts every file too, as it does in the preset asan: it sees a Result dropped where g++ does not
  tidy     clang-tidy on the files changed since the base (main, or the commit before)
  tests    the unit tests of the folders that changed since the base

    tools/check [--no-setup] [--base COMMIT] [--all] [CHECK...]

--all runs clang-tidy on every file. Without CHECK all are run. What passed once is not run again while neither the
file nor anything it includes has changed.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

root = pathlib.Path(__file__).resolve().parent.parent
build = root / "build" / "check"
folders = ["storage", "engine", "consumers", "api", "tools"]  # each may include those before it

# Where an outside library may be included: prefix of the include -> prefixes of the files that may. tests and bench
# may include anything.
homes = [
    (r"lz4\.h|lz4hc\.h|lz4frame\.h", ["storage/"]),
    (r"xxhash\.h", ["storage/"]),
    (r"boost/interprocess/", ["storage/"]),
    (r"boost/system/|boost/container_hash/|boost/functional/hash|boost/config", [""]),
    (r"boost/asio", ["engine/", "api/", "tools/"]),
    (r"boost/beast", ["api/", "tools/", "engine/outbound/"]),
    (r"boost/url", ["api/", "tools/", "engine/outbound/"]),
    (r"simdjson\.h", ["engine/", "consumers/views/"]),
    (r"openssl/", ["engine/", "api/", "tools/"]),
    (r"rocksdb/", ["consumers/views/"]),
    (r"sqlite3\.h", ["consumers/views/"]),
    (r"nlohmann/", ["api/", "tools/"]),
    (r"prometheus/", ["api/"]),
    (r"zlib\.h|zstd\.h", ["api/", "tools/"]),
    (r"CLI/", ["tools/"]),
    (r"toml\+\+/|toml\.hpp", ["tools/"]),
    (r"spdlog/|fmt/", ["tools/"]),
    (r"histedit\.h|editline/", ["tools/cli/sql/"]),
]
# What no header of ours may pull in: seconds in each file that includes it.
heavy = re.compile(r"boost/(asio|beast|url|interprocess)|simdjson|rocksdb/|sqlite3|nlohmann/(?!json_fwd)|prometheus/|"
                   r"CLI/|toml|spdlog/|fmt/|openssl/|zlib\.h|zstd\.h|lz4|xxhash|histedit|<regex>|<iostream>")
# Headers private to the folder that is the library's home; anything else is a mistake.
heavy_allowed = {
    "api/": r"boost/(asio|beast|url)|nlohmann/|openssl/",
    "consumers/views/": r"rocksdb/|sqlite3|simdjson",
    "engine/json/": r"simdjson",
    "engine/": r"openssl/",
    "tools/cli/": r"boost/(asio|beast|url)|toml|CLI/",
}


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False).stdout


def tracked(*patterns):
    return [f for f in git("ls-files", "--cached", "--others", "--exclude-standard", *patterns).splitlines()
            if (root / f).exists()]


def run(command, **keywords):
    return subprocess.run(command, capture_output=True, text=True, check=False, **keywords)


def check_format():
    files = tracked("*.h", "*.cc")
    done = run(["clang-format-14", "--dry-run", "-Werror", *files], cwd=root)
    bad = sorted({line.split(":")[0] for line in done.stderr.splitlines() if "error:" in line})
    return [f"{name}: clang-format-14 -i would change it" for name in bad]


def includes(name):
    text = (root / name).read_text(errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(2)


def check_arrows():
    trouble = []
    public = {}
    for name in tracked("*.h", "*.cc"):
        top = name.split("/")[0]
        free = top in ("tests", "bench")
        for number, included in includes(name):
            where = f"{name}:{number}"
            target = included.split("/")[0]
            if target in folders and (root / target).is_dir():
                if top in folders and folders.index(target) > folders.index(top):
                    trouble.append(f"{where}: {top} may not include {target} (tools > api > consumers > engine > storage)")
                public.setdefault(included, set()).add(top)
            if target in ("tests", "bench") and not free:
                trouble.append(f"{where}: nobody includes {target}")
            if free:
                continue
            for pattern, allowed in homes:
                if re.match(pattern, included):
                    if not any(name.startswith(prefix) for prefix in allowed):
                        trouble.append(f"{where}: <{included}> belongs in {' '.join(allowed)} only")
                    break
    for name in tracked("*.h"):
        top = name.split("/")[0]
        if top in ("tests", "bench"):
            continue
        for number, included in includes(name):
            if not heavy.search(included):
                continue
            at_home = any(name.startswith(prefix) and re.search(pattern, included)
                          for prefix, pattern in heavy_allowed.items())
            abroad = sorted(public.get(name, set()) - {top, "tests", "bench"})
            if not at_home or abroad:
                who = f"; {', '.join(abroad)} include it" if abroad else ""
                trouble.append(f"{name}:{number}: a header should not carry <{included}>{who}")
    return trouble


def check_names():
    trouble = []
    # The data set beside the clone may be named as a default, on a line that names the variable that overrides it.
    path = re.compile(r"/wor[k]/|\.\./share[d]")
    for name in tracked():
        try:
            text = (root / name).read_text()
        except UnicodeDecodeError:
            continue
        lines = text.splitlines()
        for number, line in enumerate(lines, 1):
            near = " ".join(lines[max(0, number - 3):number + 2])
            if path.search(line) and not ("TIDEMILL_TEST_DATA" in near and "/wor" + "k/" not in line):
                trouble.append(f"{name}:{number}: names a path of one machine: {line.strip()[:100]}")
    return trouble


def check_length():
    for name in tracked("*.h", "*.cc", "*.py"):
        lines = (root / name).read_text(errors="replace").count("\n")
        if lines > 600:
            print(f"  {name}: {lines} lines; which second job has it learned?")
    return []


def check_patches():
    trouble = []
    for name in tracked("tests/sabotage/*.patch"):
        done = run(["patch", "-p1", "--fuzz=2", "--dry-run", "--force", "-s", "-i", name], cwd=root)
        if done.returncode:
            trouble.append(f"{name} no longer applies; plant its bug in the code as it is now: {done.stdout.strip()}")
    return trouble


def commands():
    """compile_commands.json of a build folder of this tool's own, configured only."""
    build.mkdir(parents=True, exist_ok=True)
    done = run(["cmake", "-S", str(root), "-B", str(build), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug",
                "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", "-DTIDEMILL_TESTS=ON"])
    if done.returncode:
        sys.exit(f"check: cmake failed:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
    entries = json.loads((build / "compile_commands.json").read_text())
    # Sources that the build makes (built-in SQL, the commit) must be there for a compiler to read them.
    made = [os.path.relpath(e["file"], build) for e in entries if e["file"].startswith(str(build))]
    if made:
        run(["ninja", "-C", str(build), *made])
    found = {}
    for entry in entries:
        words = shlex.split(entry["command"])
        while "ccache" in words[0]:
            words = words[1:]
        out = words.index("-o")
        del words[out:out + 2]
        found[os.path.relpath(entry["file"], root)] = [w for w in words[1:] if w not in ("-c", entry["file"])]
    return found


def fingerprint(command, dependencies):
    digest = hashlib.sha256(" ".join(command).encode())
    for name in sorted(dependencies):
        try:
            digest.update(name.encode())
            digest.update(pathlib.Path(name).read_bytes())
        except OSError:
            return None
    return digest.hexdigest()


def cached(kind, name, command, execute):
    """Runs execute() unless it passed before on the same bytes. Dependencies come from a .d file."""
    stamp = build / "stamps" / f"{kind}-{name.replace('/', '_')}"
    if stamp.exists():
        old = json.loads(stamp.read_text())
        if fingerprint(command, old["dependencies"]) == old["fingerprint"]:
            return ""
    stamp.unlink(missing_ok=True)
    depfile = stamp.with_suffix(stamp.suffix + ".d")
    depfile.parent.mkdir(parents=True, exist_ok=True)
    said = execute(depfile)
    if not said and depfile.exists():
        words = depfile.read_text().replace("\\\n", " ").split(":", 1)[1].split()
        ours = [w for w in words if w.startswith(str(root))]
        stamp.write_text(json.dumps({"dependencies": ours, "fingerprint": fingerprint(command, ours)}))
    return said


def in_parallel(kind, names, one):
    started, trouble = time.monotonic(), []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for name, said in zip(names, pool.map(one, names)):
            if said:
                trouble.append(f"{name}: {kind}\n{said}")
    print(f"  {len(names)} files in {time.monotonic() - started:.0f} s")
    return trouble


def check_syntax(only=""):
    table = {name: command for name, command in commands().items() if re.search(only, name)}

    def one(name):
        command = ["clang++-14", "-fsyntax-only", *table[name], "-Wno-everything", "-Werror=unused-result"]

        def execute(depfile):
            done = run([*command, "-MD", "-MF", str(depfile), str(root / name)], cwd=build)
            return (done.stdout + done.stderr)[-4000:] if done.returncode else ""
        return cached("syntax", name, command, execute)
    return in_parallel("clang++-14 -fsyntax-only", sorted(table), one)


def changed(base):
    """Names of the files that differ from the base: on a branch what it adds to main, on main the last commit."""
    if not base:
        base = git("merge-base", "HEAD", "main").strip()
        if not base or base == git("rev-parse", "HEAD").strip():
            base = git("rev-parse", "--verify", "-q", "HEAD~1").strip() or "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    return set(git("diff", "--name-only", base, "--").splitlines()) | set(
        git("ls-files", "--others", "--exclude-standard").splitlines())


def check_tests(base):
    """Builds and runs, in build/dev, the test programs of the folders that changed."""
    touched = {name.split("/")[1] if name.startswith("tests/") else name.split("/")[0] for name in changed(base)}
    touched &= {name.split("/")[1] for name in tracked("tests/*_test.cc")} & set(folders)
    trouble = []
    if touched:
        dev = root / "build" / "dev"
        targets = [f"{name}_tests" for name in sorted(touched)]
        for command in (["cmake", "--preset", "dev", "-DTIDEMILL_TESTS=ON"],
                        ["cmake", "--build", str(dev), "--target", *targets]):
            done = run(command, cwd=root)
            if done.returncode:
                return [(done.stdout + done.stderr)[-6000:]]
        for target in targets:
            done = run([str(dev / "tests" / target), "--gtest_brief=1"], cwd=root)
            print("  " + target + ": " + (done.stdout.strip().splitlines() or ["nothing"])[-1])
            if done.returncode:
                trouble.append(done.stdout[-6000:] + done.stderr[-2000:])
    return trouble


def check_tidy(base, everything):
    table = commands()
    if everything:
        names = sorted(table)
    else:
        names = sorted(n for n in table if n in changed(base))

    def one(name):
        command = ["clang-tidy-14", "--quiet", "-p", str(build)]

        def execute(depfile):
            flags = table[name]
            run(["clang++-14", *flags, "-w", "-E", "-MM", "-MF", str(depfile), str(root / name)], cwd=build)
            done = run([*command, str(root / name)], cwd=root)
            return done.stdout[-6000:] if done.returncode else ""
        return cached("tidy", name, command + [(root / ".clang-tidy").read_text()], execute)
    return in_parallel("clang-tidy-14", names, one)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-setup", action="store_true", help="do not look for missing packages")
    parser.add_argument("--only", default="", metavar="REGEX", help="syntax: only files whose name matches")
    parser.add_argument("--base", help="clang-tidy: files changed since this commit")
    parser.add_argument("--all", action="store_true", help="clang-tidy: every file")
    parser.add_argument("checks", nargs="*")
    args = parser.parse_args()
    checks = {
        "format": check_format,
        "arrows": check_arrows,
        "names": check_names,
        "length": check_length,
        "patches": check_patches,
        "syntax": lambda: check_syntax(args.only),
        "tidy": lambda: check_tidy(args.base, args.all),
        "tests": lambda: check_tests(args.base),
    }
    chosen = args.checks or list(checks)
    for name in chosen:
        if name not in checks:
            parser.error(f"no check is called {name}; there are {', '.join(checks)}")
    failed = 0
    for name in chosen:
        print(f"check: {name}", flush=True)
        trouble = checks[name]()
        failed += bool(trouble)
        for line in trouble:
            print(line)
    print(f"{len(chosen) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
