"""A process within a fixed amount of memory: the kernel kills it when it asks for more."""
import os
import pathlib
import resource
import subprocess
import sys

HOG = "x = bytearray({0}); x[::4096] = b'1' * len(x[::4096])"


class Cap:
    """By a control group, v2 or v1, where this user may make one; else by RLIMIT_AS, which refuses instead of killing,
    and counts addresses instead of memory: `by` says which."""

    def __init__(self, limit):
        self.limit, self.group, self.by = limit, None, None
        for make in (self.version_2, self.version_1):
            try:
                make()
            except OSError:
                self.remove()
                continue
            if self.group and self.kills():
                return
            self.remove()
        self.by = "RLIMIT_AS (no control group to be had)"

    def version_2(self):
        root = pathlib.Path("/sys/fs/cgroup")
        if not (root / "cgroup.controllers").exists():
            return
        if "memory" not in (root / "cgroup.subtree_control").read_text().split():
            (root / "cgroup.subtree_control").write_text("+memory")
        self.group = root / f"tidemill-test-{os.getpid()}"
        self.group.mkdir()
        (self.group / "memory.max").write_text(str(self.limit))
        if (self.group / "memory.swap.max").exists():
            (self.group / "memory.swap.max").write_text("0")
        self.by = "control group v2, memory.max"

    def version_1(self):
        root = pathlib.Path("/sys/fs/cgroup/memory")
        if not (root / "memory.limit_in_bytes").exists():
            return
        self.group = root / f"tidemill-test-{os.getpid()}"
        self.group.mkdir()
        (self.group / "memory.limit_in_bytes").write_text(str(self.limit))
        self.by = "control group v1, memory.limit_in_bytes"

    def enter(self):
        """In the child, before it becomes the program."""
        if self.group:
            (self.group / "cgroup.procs").write_text(str(os.getpid()))
        else:
            resource.setrlimit(resource.RLIMIT_AS, (self.limit, self.limit))

    def kills(self):
        """Whether the limit is real: a process that takes more dies."""
        hog = [sys.executable, "-c", HOG.format(self.limit + (64 << 20))]
        return subprocess.run(hog, preexec_fn=self.enter, capture_output=True).returncode != 0

    def peak(self):
        """Of the whole group, page cache included where the kernel counts it; MiB."""
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            try:
                return int((self.group / name).read_text()) / (1 << 20)
            except (OSError, TypeError):
                pass
        return None

    def remove(self):
        if self.group:
            try:
                self.group.rmdir()
            except OSError:
                pass
        self.group = None
