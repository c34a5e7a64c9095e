"""HTTPS as its users have it: the program's own client, curl, Python; certificates that are renewed; clients that are slow."""
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

from harness import Answer, Server, TestCase, exchange, need, program

records = "/v1/streams/retail/records"
row = {"InvoiceNo": "1", "StockCode": "a", "Quantity": 2, "UnitPrice": 0.5, "CustomerID": "7"}


class TlsServer(Server):
    """As its parent, over TLS. `context` is whom requests of the test believe."""

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.url = self.url.replace("http:", "https:")
        self.context = ssl._create_unverified_context()

    def connect(self, timeout=70):
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.context)

    def get(self, path, headers=None, timeout=70):
        connection = self.connect(timeout)
        try:
            return exchange(connection, "GET", path, None, headers)
        finally:
            connection.close()

    def metric(self, name):
        found = re.search(rf"(?m)^{re.escape(name)} (\S+)$", self.get("/metrics").body.decode())
        return float(found.group(1)) if found else None


class Tls(TestCase):
    def tls_server(self, *arguments, **keywords):
        server = TlsServer(self.directory, *arguments, **keywords)
        self.servers.append(server)
        return server

    def openssl(self, *arguments):
        subprocess.run([need("openssl"), *map(str, arguments)], check=True, capture_output=True, cwd=self.directory)

    def authority(self, name="ca"):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2, "-subj",
                     f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")

    def issue(self, name, extension="subjectAltName=DNS:localhost,IP:127.0.0.1", ca="ca", days=2):
        """name.pem and name.key, signed by the authority."""
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                     "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (self.directory / "extension").write_text(extension)
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial",
                     "-days", days, "-extfile", "extension", "-out", f"{name}.pem")

    def served(self, *arguments, **settings):
        env = {f"TIDEMILL_SERVER_{k.upper()}": str(v) for k, v in settings.items()}
        server = self.tls_server("--tls-cert", str(self.directory / "own.pem"), "--tls-key", str(self.directory / "own.key"),
                                 *arguments, env=env)
        return server

    def wait_for_log(self, server, text, times=1, timeout=30):
        end = time.monotonic() + timeout
        while server.log.read_text().count(text) < times:
            self.assertLess(time.monotonic(), end, f"{text}\n{server.log_tail()}")
            time.sleep(0.05)

    def test_self_signed_with_the_programs_client_and_curl(self):
        server = self.tls_server("--tls-self-signed", "--log-format", "json").start()
        lines = [json.loads(line) for line in server.log.read_text().splitlines()]
        pin = next(line["sha256"] for line in lines if "self-signed" in line["message"])
        shown = ssl.get_server_certificate(("127.0.0.1", server.port))
        (self.directory / "shown.pem").write_text(shown)

        put = ("put", "--url", server.url, json.dumps(row))
        distrusted = self.tidemill(*put)
        self.assertEqual(distrusted.returncode, 3, distrusted)
        self.assertIn("--ca-file", distrusted.stderr)
        self.assertNotIn("is the server running?", distrusted.stderr)
        other = self.tidemill(*put, "--tls-fingerprint", "0" * 64)
        self.assertEqual(other.returncode, 3, other)
        self.assertIn(pin, other.stderr)
        self.assertIn("this may be another server in its place", other.stderr)
        self.assertNotIn("is the server running?", other.stderr)
        nofile = self.tidemill(*put, "--ca-file", "nofile")
        self.assertEqual(nofile.returncode, 2, nofile)
        self.assertRegex(nofile.stderr, r"nofile.*No such file.*--ca-file")
        nonsense = self.tidemill(*put, "--tls-fingerprint", "abc")
        self.assertIn("64 hexadecimal digits", nonsense.stderr)
        plain = self.tidemill("put", "--url", server.url.replace("https:", "http:"), json.dumps(row))
        self.assertIn("https://", plain.stderr)
        for trust in (("--tls-fingerprint", pin), ("--tls-fingerprint", "sha256:" + pin.upper()),
                      ("--ca-file", "shown.pem")):
            done = self.tidemill(*put, *trust)
            self.assertEqual(done.returncode, 0, done)
        done = self.tidemill("sql", "--url", server.url, "SELECT count(*) AS n FROM customers",
                             env={**os.environ, "TIDEMILL_CA_FILE": "shown.pem"})
        self.assertEqual(done.returncode, 0, done)
        sample = self.tidemill("sample", "--rows", "20000").stdout
        (self.directory / "sample.csv").write_text(sample)
        done = self.tidemill("load", "--quiet", "--url", server.url, "--ca-file", "shown.pem", "sample.csv")
        self.assertEqual(done.returncode, 0, done)
        tail = self.tidemill("tail", "--url", server.url, "--ca-file", "shown.pem", "--from", "earliest", "--no-follow",
                             "--data-only")
        self.assertEqual(len(tail.stdout.splitlines()), 20_003)

        curl = subprocess.run([need("curl"), "-sS", "--cacert", "shown.pem", f"https://localhost:{server.port}/healthz"],
                              capture_output=True, text=True, cwd=self.directory)
        self.assertEqual((curl.returncode, curl.stderr), (0, ""), curl)
        old = subprocess.run([need("curl"), "-sS", "--cacert", "shown.pem", "--tls-max", "1.1", "--ciphers",
                              "DEFAULT@SECLEVEL=0", f"{server.url}/healthz"], capture_output=True, cwd=self.directory)
        self.assertNotEqual(old.returncode, 0)
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = b""
            while part := s.recv(4096):
                answer += part
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
        self.assertNotIn(b"Location", answer)
        self.assertEqual(server.stop(), 0)

    def test_no_time_makes_a_certificate_believed(self):
        self.authority()
        for name, extension in (("own", "subjectAltName=DNS:elsewhere.example"), ("till", "extendedKeyUsage=clientAuth")):
            self.issue(name, extension)
        self.authority("others")
        self.issue("stranger", "extendedKeyUsage=clientAuth", ca="others")
        server = self.served(tls_client="required", tls_client_ca=self.directory / "ca.pem")
        server.context.load_cert_chain(self.directory / "till.pem", self.directory / "till.key")
        server.start()
        (self.directory / "rows.csv").write_text("InvoiceNo,StockCode\n1,a\n")
        fingerprint = subprocess.run([need("openssl"), "x509", "-in", "own.pem", "-noout", "-fingerprint", "-sha256"],
                                     check=True, capture_output=True, text=True, cwd=self.directory).stdout
        pin = ("--tls-fingerprint", fingerprint.split("=")[1].strip().replace(":", "").lower())
        till = ("--cert-file", "till.pem", "--cert-key-file", "till.key")
        stranger = ("--cert-file", "stranger.pem", "--cert-key-file", "stranger.key")
        for arguments, said in ((till, "--ca-file (or TIDEMILL_CA_FILE)"),
                                ((*till, "--ca-file", "ca.pem"), "mismatch"),  # the name
                                ((*till, "--tls-fingerprint", "0" * 64), "this may be another server in its place"),
                                ((*stranger, *pin), "the server does not take stranger.pem"),
                                (pin, "--cert-file and --cert-key-file")):
            began = time.monotonic()
            done = self.tidemill("load", "--url", server.url, *arguments, "--retry-for", "60s", "rows.csv")
            self.assertEqual(done.returncode, 3, done)
            self.assertIn(said, done.stderr)
            self.assertNotIn("trying on", done.stderr)
            self.assertLess(time.monotonic() - began, 20, done)
        done = self.tidemill("load", "--quiet", "--url", server.url, *till, *pin, "rows.csv")
        self.assertNotEqual(done.returncode, 3, done)

    def test_a_renewed_certificate_drops_no_connection_and_a_wrong_pair_is_not_taken(self):
        self.authority()
        self.issue("own")
        server = self.served().start()
        believes = ssl.create_default_context(cafile=str(self.directory / "ca.pem"))
        server.context = believes
        kept = server.connect()
        self.assertEqual(exchange(kept, "POST", records, row).status, 200)
        first = kept.sock.getpeercert()["serialNumber"]
        # The key comes later than the certificate: until then the old pair is shown.
        self.issue("new")
        (self.directory / "new.pem").replace(self.directory / "own.pem")
        server.process.send_signal(signal.SIGHUP)
        self.wait_for_log(server, "is not taken")
        self.assertIn("does not belong to the certificate", server.log_tail())
        again = server.connect()
        self.assertEqual(exchange(again, "POST", records, row).status, 200)
        self.assertEqual(again.sock.getpeercert()["serialNumber"], first)
        refused = 'tidemill_tls_certificate_reloads_total{result="refused"}'
        said = server.metric(refused)
        self.assertGreaterEqual(said, 1)
        # Nobody says that the key has come; it is seen.
        (self.directory / "new.key").replace(self.directory / "own.key")
        self.wait_for_log(server, "another certificate, for new connections")
        renewed = server.connect()
        self.assertEqual(exchange(renewed, "POST", records, row).status, 200)
        self.assertNotEqual(renewed.sock.getpeercert()["serialNumber"], first)
        for connection in (kept, again):
            self.assertEqual(exchange(connection, "POST", records, row).status, 200)
        self.assertEqual(kept.sock.getpeercert()["serialNumber"], first)
        self.assertEqual(server.metric('tidemill_tls_certificate_reloads_total{result="taken"}'), 1)
        self.assertEqual(server.metric(refused), said)
        left = server.metric("tidemill_tls_certificate_expiry_seconds") - time.time()
        self.assertLess(abs(left - 2 * 86400), 600)
        # The files go: what is served is in memory.
        (self.directory / "own.key").unlink()
        server.process.send_signal(signal.SIGHUP)
        self.wait_for_log(server, "own.key cannot be read")
        self.assertEqual(server.get("/healthz").status, 200)
        self.assertEqual(server.stop(), 0)

    def test_a_start_with_wrong_material_says_what_is_wrong(self):
        self.authority()
        self.issue("own")
        self.issue("other")
        own, key = str(self.directory / "own.pem"), str(self.directory / "own.key")
        for arguments, said in (
                (("--tls-cert", own), "without server.tls_key"),
                (("--tls-cert", own, "--tls-key", str(self.directory / "other.key")), "does not belong"),
                (("--tls-cert", key, "--tls-key", key), "holds no certificate"),
                (("--tls-cert", own, "--tls-key", str(self.directory / "none")), "cannot be read"),
                (("--tls-cert", own, "--tls-key", key, "--tls-self-signed"), "choose one"),
        ):
            server = self.tls_server(*arguments).spawn()
            self.assertEqual(server.process.wait(30), 2, said)
            self.assertIn(said, server.log_tail())
        server = self.served(tls_client="required").spawn()
        self.assertEqual(server.process.wait(30), 2)
        self.assertIn("server.tls_client_ca", server.log_tail())

    def test_clients_show_certificates(self):
        self.authority()
        self.authority("others")
        self.issue("own")
        self.issue("producer", "extendedKeyUsage=clientAuth")
        self.issue("server_only", "extendedKeyUsage=serverAuth")
        self.issue("stranger", "extendedKeyUsage=clientAuth", ca="others")
        server = self.served(tls_client="required", tls_client_ca=self.directory / "ca.pem")
        server.context = ssl.create_default_context(cafile=str(self.directory / "ca.pem"))
        server.context.load_cert_chain(self.directory / "producer.pem", self.directory / "producer.key")
        server.start()

        def curl(*arguments):
            return subprocess.run([need("curl"), "-s", "--cacert", "ca.pem", *arguments, f"{server.url}/healthz"],
                                  capture_output=True, cwd=self.directory).returncode
        self.assertEqual(curl("--cert", "producer.pem", "--key", "producer.key"), 0)
        for refused in ((), ("--cert", "stranger.pem", "--key", "stranger.key"),
                        ("--cert", "server_only.pem", "--key", "server_only.key")):
            self.assertNotEqual(curl(*refused), 0, refused)
        self.assertGreaterEqual(server.metric('tidemill_tls_handshakes_total{result="failed",version="none"}'), 2)

    def test_the_programs_client_shows_a_certificate(self):
        self.authority()
        self.authority("others")
        self.issue("own")
        for name in ("till", "other"):
            self.issue(name, "extendedKeyUsage=clientAuth")
        self.issue("server_only", "extendedKeyUsage=serverAuth")
        self.issue("stranger", "extendedKeyUsage=clientAuth", ca="others")
        server = self.served(tls_client="required", tls_client_ca=self.directory / "ca.pem")
        data = str(server.data)
        operator = self.tidemill("keys", "create", "operator", "--admin", "--data", data).stdout.strip()
        tenant_admin = self.tidemill("keys", "create", "admin", "--tenant", "acme", "--scope", "server:admin", "--data",
                                     data).stdout.strip()
        producer = self.tidemill("keys", "create", "till", "--tenant", "acme", "--scope", "stream:sales:write", "--scope",
                                 "stream:sales:read", "--data", data).stdout.strip()
        server.context = ssl.create_default_context(cafile=str(self.directory / "ca.pem"))
        server.context.load_cert_chain(self.directory / "other.pem", self.directory / "other.key")
        server.start()
        url = ("--url", server.url, "--ca-file", "ca.pem")
        till = ("--cert-file", "till.pem", "--cert-key-file", "till.key")

        def ask(*arguments, key=None, environment=None):
            return self.tidemill(*arguments, env={**os.environ, **({"TIDEMILL_KEY": key} if key else {}),
                                                  **(environment or {})})

        # A tenant's administrator binds what it shows, and nothing else: only with the private key.
        bind = ("keys", "bind", producer.split("_")[1], "--certificate", "till.pem", *url)
        refused = ask(*bind, "--cert-file", "other.pem", "--cert-key-file", "other.key", key=tenant_admin)
        self.assertEqual(refused.returncode, 2, refused)
        self.assertIn("instance:admin", refused.stderr)
        bound = ask(*bind, *till, key=tenant_admin)
        self.assertEqual(bound.returncode, 0, bound)
        # From now on it stands for the key, in every command, by option, environment or .env.
        made = ask("put", "--stream", "retail", *url, *till, json.dumps(row))
        self.assertIn("stream:retail:write", made.stderr)  # 403: it is the key's, and may not do that
        made = exchange(server.connect(), "PUT", "/v1/streams/sales", {"partition_key": "InvoiceNo"},
                        {"Authorization": f"Bearer {tenant_admin}"})
        self.assertEqual(made.status, 201, made)
        done = ask("put", "--stream", "sales", *url, *till, json.dumps(row))
        self.assertEqual(done.returncode, 0, done)
        paths = {"TIDEMILL_CERT_FILE": "till.pem", "TIDEMILL_CERT_KEY_FILE": "till.key"}
        done = ask("tail", "sales", *url, "--from", "earliest", "--no-follow", "--data-only", environment=paths)
        self.assertEqual((done.returncode, done.stdout), (0, json.dumps(row, separators=(",", ":")) + "\n"), done)
        whole = (self.directory / "till.pem").read_text() + (self.directory / "till.key").read_text()
        (self.directory / "whole.pem").write_text(whole)
        (self.directory / ".env").write_text("TIDEMILL_CERT_FILE=whole.pem\nTIDEMILL_CERT_KEY_FILE=whole.pem\n")
        done = ask("stream", "sales", *url)
        self.assertEqual(done.returncode, 0, done)
        (self.directory / ".env").unlink()
        # Who shows none, or one that is not taken, is told what to do.
        none = ask("stream", "sales", *url, key=operator)
        self.assertEqual(none.returncode, 3, none)
        self.assertIn("--cert-file and --cert-key-file", none.stderr)
        for name in ("stranger", "server_only"):
            done = ask("stream", "sales", *url, "--cert-file", f"{name}.pem", "--cert-key-file", f"{name}.key")
            self.assertEqual(done.returncode, 3, done)
            self.assertIn(f"does not take {name}.pem", done.stderr)
            self.assertNotIn("is the server running?", done.stderr)
        # What cannot be shown is wrong use, and said before anybody is asked.
        self.openssl("pkey", "-in", "till.key", "-aes256", "-passout", "pass:x", "-out", "encrypted.key")
        (self.directory / "folder").mkdir()
        for certificate, key, said in (
                ("till.pem", None, "say --cert-key-file"), (None, "till.key", "say --cert-file"),
                ("none.pem", "till.key", "cannot read none.pem: No such file or directory (--cert-file)"),
                ("till.pem", "none.key", "cannot read none.key: No such file or directory (--cert-key-file)"),
                ("folder", "till.key", "cannot read folder: Is a directory (--cert-file)"),
                ("till.key", "till.key", "holds no certificate in PEM"), ("till.pem", "till.pem", "holds no private key"),
                ("till.pem", "other.key", "till.pem with other.key (--cert-file, --cert-key-file): the key does not belong"),
                ("till.pem", "encrypted.key", "openssl pkey")):
            arguments = [*(("--cert-file", certificate) if certificate else ()), *(("--cert-key-file", key) if key else ())]
            done = ask("stream", "sales", *url, *arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done)
            self.assertIn(said, done.stderr)
        plain = ask("stream", "sales", "--url", server.url.replace("https:", "http:"), *till)
        self.assertEqual(plain.returncode, 2, plain)
        self.assertIn("over https:// only", plain.stderr)
        for file, said in (("none.pem", "cannot read none.pem: No such file or directory (--ca-file)"),
                           ("folder", "cannot read folder: Is a directory (--ca-file)"),
                           ("till.key", "till.key (--ca-file) holds no certificate")):
            done = ask("stream", "sales", "--url", server.url, "--ca-file", file)
            self.assertEqual(done.returncode, 2, done)
            self.assertIn(said, done.stderr)
        self.assertNotIn("PRIVATE KEY", server.log.read_text())

    def test_what_openssl_sees(self):
        server = self.tls_server("--tls-self-signed").start()

        def s_client(*arguments):
            return subprocess.run([need("openssl"), "s_client", "-connect", f"127.0.0.1:{server.port}", *arguments],
                                  input="", capture_output=True, text=True, timeout=60)
        seen = s_client("-alpn", "h2,http/1.1")
        self.assertIn("ALPN protocol: http/1.1", seen.stdout)
        self.assertIn("Compression: NONE", seen.stdout)
        self.assertIn("Max Early Data: 0", seen.stdout + "Max Early Data: 0" * ("Max Early Data" not in seen.stdout))
        for refused in (("-tls1_1", "-cipher", "ALL@SECLEVEL=0"), ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"),
                        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA"), ("-alpn", "h2")):
            self.assertIn("Cipher is (NONE)", s_client(*refused).stdout, refused)
        again = s_client("-tls1_2", "-reconnect")
        self.assertIn("Reused, TLSv1.2", again.stdout)


class Slow(TestCase):
    """Slow clients are cut off, and nobody else notices."""

    def healthy(self, server, stop, failures, answered):
        try:
            while not stop.is_set():
                connection = server.connect(timeout=30)
                for _ in range(20):
                    answer = exchange(connection, "POST", records, row)
                    if answer.status != 200:
                        failures.append(answer)
                    answered.append(answer.status)
                connection.close()
        except OSError as error:
            failures.append(error)

    def beside_the_slow(self, server, slow):
        stop, failures, answered = threading.Event(), [], []
        client = threading.Thread(target=self.healthy, args=(server, stop, failures, answered))
        client.start()
        try:
            slow()
            before = len(answered)
            while len(answered) < before + 40 and client.is_alive():
                time.sleep(0.01)
        finally:
            stop.set()
            client.join()
        self.assertEqual(failures, [])
        self.assertGreaterEqual(len(answered), 40)
        self.assertEqual(server.get("/healthz").status, 200)

    def limits(self):
        return {"TIDEMILL_LIMITS_HEADER_TIMEOUT": "500ms", "TIDEMILL_LIMITS_IDLE_TIMEOUT": "1s"}

    def test_slow_headers_and_silence(self):
        server = self.server(env=self.limits()).start()

        def slow():
            sockets = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(300)]
            for i, s in enumerate(sockets):
                if i % 3:  # the others say nothing at all
                    s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-" + bytes([97 + i % 26]))
            for i, s in enumerate(sockets):  # each is cut off: 408 for who began, nothing for who did not
                said = b""
                while part := s.recv(4096):
                    said += part
                self.assertEqual(said[:13], b"HTTP/1.1 408 " if i % 3 else b"")
                s.close()
        self.beside_the_slow(server, slow)

    def test_slowhttptest(self):
        """Its four attacks; none of its connections is left when it is over, and it never gets the server down."""
        tool = need("slowhttptest")
        server = self.server(env=self.limits()).start()
        url = f"{server.url}{records}"

        def slow():
            for mode in (("-H",), ("-B", "-s", "8192"), ("-X", "-w", "10", "-y", "20", "-z", "5"), ("-R",)):
                done = subprocess.run([tool, "-c", "200", "-r", "200", "-i", "1", "-l", "6", "-p", "3", "-u", url, *mode],
                                      capture_output=True, text=True, timeout=120, cwd=self.directory)
                self.assertEqual(done.returncode, 0, done.stderr)
        self.beside_the_slow(server, slow)
