"""Servers and clients that a workload starts: they end with it, however it ends."""
import signal
import sys

running = []


def started(what):
    """A process, or what has one as `process`. Said before it starts, so that one that does not come up ends too."""
    running.append(what)
    return what


def end_all():
    while running:
        what = running.pop()
        process = getattr(what, "process", what)
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()


def end_on_sigterm():
    """As Ctrl-C does: by way of `finally`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended"))
