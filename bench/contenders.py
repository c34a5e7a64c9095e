"""What bench/peers drives: each peer on loopback, in a directory of its own on the same file system as ours, with the
durability of ours (an answer means: flushed to disk). Nothing is installed and nothing is left running."""
import json
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import time

nats_version = "v2.12.0"


class Missing(Exception):
    """Why a peer cannot take part; printed in its row."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, process, log, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Missing("did not start: " + pathlib.Path(log).read_text(errors="replace")[-300:].replace("\n", " "))


def stop(process):
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Tidemill:
    name = "tidemill"
    protocol = "http"
    target = "/v1/streams/bench/records"
    settings = "default configuration; stream of 4 shards without archive and views"

    def __init__(self, directory, harness):
        self.server = harness.Server(directory).start()
        self.port = self.server.port
        answer = harness.request(self.port, "PUT", "/v1/streams/bench",
                                 {"shards": 4, "partition_key": "InvoiceNo", "archive": {"enabled": False}})
        if answer.status not in (200, 201):
            raise SystemExit(f"bench: cannot make a stream: {answer}")
        said = subprocess.run([harness.program, "--version"], capture_output=True, text=True, check=True).stdout
        self.version = said.split()[1]

    def clear(self):
        pass

    def stop(self):
        self.server.stop(120)


class Redis:
    name = "Redis Streams"
    protocol = "redis"
    target = "bench"
    options = {"appendonly": "yes", "appendfsync": "always", "auto-aof-rewrite-percentage": "0", "save": "",
               "aof-use-rdb-preamble": "no", "protected-mode": "yes", "bind": "127.0.0.1", "daemonize": "no"}
    settings = "appendonly yes, appendfsync always, no AOF rewrite, no RDB; XADD bench * d RECORD; batch: 500 XADD in one write"

    def __init__(self, directory, harness):
        program = shutil.which("redis-server")
        if not program:
            raise Missing("redis-server is not installed (tools/setup --tests)")
        self.version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.split("v=")[1].split()[0]
        self.port = free_port()
        log = directory / "redis.log"
        arguments = [text for name, value in self.options.items() for text in ("--" + name, value)]
        with open(log, "wb") as out:
            self.process = subprocess.Popen([program, "--port", str(self.port), "--dir", str(directory), *arguments],
                                            stdout=out, stderr=out)
        wait_for(self.port, self.process, log)
        for name in ("appendonly", "appendfsync"):  # what it really runs with
            said = self.ask("CONFIG", "GET", name)
            if self.options[name].encode() not in said:
                raise Missing(f"does not take {name} {self.options[name]}: {said!r}")

    def ask(self, *words):
        with socket.create_connection(("127.0.0.1", self.port), 60) as s:
            s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
            return s.recv(65536)

    def clear(self):  # the stream lives in memory
        self.ask("DEL", self.target)

    def stop(self):
        stop(self.process)


class Nats:
    name = "NATS JetStream"
    protocol = "nats"
    target = "bench.records"
    settings = "sync_interval: always, file store, 1 replica, no limits; one publish waits for its ack; batch: 500 in flight"

    def __init__(self, directory, harness):
        cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "tidemill-bench" / nats_version
        program = cache / "nats-server"
        if not program.exists():
            go = shutil.which("go")
            if not go:
                raise Missing("Debian's is too old for sync_interval, and there is no Go to build a newer one")
            done = subprocess.run([go, "install", f"github.com/nats-io/nats-server/v2@{nats_version}"], cwd=directory,
                                  env={**os.environ, "GOBIN": str(cache), "GOFLAGS": "-mod=mod"}, capture_output=True, text=True)
            if done.returncode:
                raise Missing("cannot be built: " + (done.stderr.strip().splitlines() or ["?"])[-1])
        self.version = subprocess.run([str(program), "--version"], capture_output=True, text=True).stdout.split()[-1]
        self.port = free_port()
        config = directory / "nats.conf"
        config.write_text(f'listen: "127.0.0.1:{self.port}"\nmax_payload: 8MB\n'
                          f'jetstream {{ store_dir: "{directory}", sync_interval: always, max_file_store: 100GB }}\n')
        log = directory / "nats.log"
        with open(log, "wb") as out:
            self.process = subprocess.Popen([str(program), "-c", str(config)], stdout=out, stderr=out)
        wait_for(self.port, self.process, log)
        said = self.ask("$JS.API.STREAM.CREATE.BENCH", {"name": "BENCH", "subjects": [self.target], "storage": "file",
                                                        "retention": "limits", "num_replicas": 1, "discard": "old"})
        if "error" in said:
            raise Missing(f"no stream: {said['error']}")

    def ask(self, subject, body):
        payload = json.dumps(body).encode() if body is not None else b""
        with socket.create_connection(("127.0.0.1", self.port), 60) as s:
            s.sendall(b'CONNECT {"verbose":false}\r\nSUB _INBOX.setup 1\r\nPUB %s _INBOX.setup %d\r\n%s\r\n'
                      % (subject.encode(), len(payload), payload))
            text = b""
            while True:
                got = s.recv(65536)
                if not got:
                    raise Missing(f"closed the connection: {text!r}")
                text += got
                at = text.find(b"MSG _INBOX.setup")
                if at >= 0 and text.endswith(b"}\r\n"):
                    return json.loads(text[text.index(b"\r\n", at) + 2:])

    def clear(self):
        self.ask("$JS.API.STREAM.PURGE.BENCH", None)

    def stop(self):
        stop(self.process)


class Postgres:
    name = "PostgreSQL"
    protocol = "postgres"
    target = "bench"
    options = {"synchronous_commit": "on", "fsync": "on", "wal_sync_method": "fdatasync", "full_page_writes": "on",
               "max_connections": "300", "shared_buffers": "512MB", "max_wal_size": "16GB",
               "checkpoint_timeout": "30min", "listen_addresses": "127.0.0.1"}
    settings = (", ".join(f"{k}={v}" for k, v in options.items() if k != "listen_addresses") +
                "; table (id bigint identity, data json), no index; prepared INSERT per record, own transaction; "
                "batch: COPY of 500")

    def __init__(self, directory, harness):
        homes = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        home = homes[-1].parent if homes else None
        if not home:
            raise Missing("postgresql is not installed (tools/setup --tests)")
        self.version = subprocess.run([str(home / "postgres"), "--version"], capture_output=True, text=True).stdout.split()[2]
        as_user = []
        if os.geteuid() == 0:  # it refuses to run as root
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                raise Missing("refuses to run as root, and there is no user postgres") from None
            as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
            os.chown(directory, user.pw_uid, user.pw_gid)
            parent = directory.parent
            parent.chmod(parent.stat().st_mode | 0o011)
        data = directory / "data"
        done = subprocess.run([*as_user, str(home / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres", "-E",
                               "UTF8", "--no-locale"], cwd="/", capture_output=True, text=True)
        if done.returncode:
            raise Missing("initdb: " + done.stderr.strip()[-200:].replace("\n", " "))
        self.port = free_port()
        arguments = [text for name, value in self.options.items() for text in ("-c", f"{name}={value}")]
        log = directory / "server.log"
        with open(log, "wb") as out:
            self.process = subprocess.Popen([*as_user, str(home / "postgres"), "-D", str(data), "-p", str(self.port), "-c",
                                             f"unix_socket_directories={directory}", *arguments],
                                            cwd="/", stdout=out, stderr=out)
        wait_for(self.port, self.process, log)
        self.psql = [str(home / "psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-qAtX"]
        for _ in range(100):  # it listens before it lets anybody in
            if subprocess.run([*self.psql, "-c", "SELECT 1"], capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        self.sql("CREATE TABLE bench (id bigint GENERATED ALWAYS AS IDENTITY, data json NOT NULL)")
        for name in ("synchronous_commit", "fsync"):
            if self.sql(f"SHOW {name}") != "on":
                raise Missing(f"does not run with {name}=on")

    def sql(self, text):
        return subprocess.run([*self.psql, "-c", text], capture_output=True, text=True, check=True).stdout.strip()

    def copy(self, statement, text):
        subprocess.run([*self.psql, "-c", statement], input=text, capture_output=True, text=True, check=True)

    def script(self, text):
        """Each statement a transaction of its own."""
        subprocess.run([*self.psql, "-v", "ON_ERROR_STOP=1", "-f", "-"], input=text, capture_output=True, text=True, check=True)

    def clear(self):
        self.sql("TRUNCATE bench")

    def stop(self):
        self.process.send_signal(2)  # fast shutdown
        self.process.wait(60)


all_of_them = [Tidemill, Redis, Nats, Postgres]
