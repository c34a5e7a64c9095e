"""What is installed: by cmake in a folder, and by dpkg in a copy of this machine's root that nobody else sees."""
import os
import pathlib
import re
import shutil
import subprocess
import unittest

from harness import Server, TestCase, need, program, root
from operations_page import check_output, sections

unit = root / "tools/packaging/tidemill.service"
exposure_max = 1.5


def run(*command, **keywords):
    """Runs it to its end; what it says, when it fails, is the failure."""
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120, **keywords)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


class Unit(TestCase):
    def test_it_may_do_next_to_nothing(self):
        analyze = need("systemd-analyze")
        said = run(analyze, "--no-pager", "security", "--offline=true", unit)
        found = re.search(r"Overall exposure level for tidemill.service: ([0-9.]+)", said)
        self.assertIsNotNone(found, said)
        self.assertLessEqual(float(found.group(1)), exposure_max, said)

    def test_it_may_lower_the_priority_of_its_threads(self):
        said = run(need("systemd-analyze"), "--no-pager", "security", "--offline=true", unit)
        line = next(line for line in said.splitlines() if "SystemCallFilter=~@resources" in line)
        self.assertIn("e.g. sched_setscheduler is allowed", line)

    def test_systemd_understands_every_line(self):
        analyze = need("systemd-analyze")
        copy = self.directory / "tidemill.service"
        copy.write_text(unit.read_text().replace("/usr/bin/tidemill", program))
        done = subprocess.run([analyze, "--no-pager", "verify", "--man=no", str(copy)], capture_output=True, text=True,
                              timeout=60)
        self.assertEqual([line for line in done.stderr.splitlines() if "tidemill.service" in line], [], done.stderr)


class Install(TestCase):
    def test_into_a_folder_of_its_own(self):
        build, prefix = pathlib.Path(program).parent, self.directory / "prefix"
        install = [need("cmake"), "--install", build, "--prefix", prefix]
        env = {**os.environ, "TIDEMILL_LIMITS_MEMORY": "64MiB"}  # which the printed configuration must not show
        run(*install, env=env)
        files = {str(p.relative_to(prefix)) for p in prefix.rglob("*") if p.is_file()}
        doc = "share/doc/tidemill/"
        self.assertLessEqual(
            {"bin/tidemill", "etc/tidemill/tidemill.toml", "lib/systemd/system/tidemill.service",
             "share/bash-completion/completions/tidemill", "share/zsh/vendor-completions/_tidemill",
             "share/man/man1/tidemill.1.gz", doc + "README.md", doc + "LICENSE", doc + "copyright",
             doc + "docs/operations.md", doc + "docs/alerts.yml", doc + "docs/grafana.json"}, files)
        self.assertIn(f"ExecStart={prefix}/bin/tidemill serve --config {prefix}/etc/tidemill/tidemill.toml\n",
                      (prefix / "lib/systemd/system/tidemill.service").read_text())
        config = prefix / "etc/tidemill/tidemill.toml"
        self.assertIn(f'data = "{prefix}/var/lib/tidemill"\n', config.read_text())
        self.assertIn('memory = "256MiB"\n', config.read_text())
        run(prefix / "bin/tidemill", "config", "check", config)
        page = run("gzip", "-dc", prefix / "share/man/man1/tidemill.1.gz")
        self.assertIn(".SS tidemill config check\n", page)
        self.assertIn("tidemill serve [OPTIONS]", page)

        config.write_text("[log]\nlevel = \"debug\"\n")  # the operator's: a second installation leaves it alone
        self.assertIn("Kept: ", run(*install))
        self.assertEqual(config.read_text(), "[log]\nlevel = \"debug\"\n")


class Package(TestCase):
    """dpkg in an overlay of this machine's root: its libraries are there, its files stay as they are."""

    def setUp(self):
        super().setUp()
        for tool in ("cpack", "dpkg-shlibdeps", "file", "strip"):
            need(tool)
        if os.geteuid() != 0:
            raise unittest.SkipTest("installing a package needs root")
        run("cpack", "--config", pathlib.Path(program).parent / "CPackConfig.cmake", "-B", self.directory)
        (self.deb,) = self.directory.glob("tidemill_*.deb")
        self.root = self.directory / "root"
        self.root.mkdir()
        self.layers = self.directory / "layers"
        self.layers.mkdir()
        # Cleanups run last in, first out, and the harness's own removes the directory.
        self.addCleanup(lambda: subprocess.run(["umount", "-l", self.root, self.layers], capture_output=True))
        run("mount", "-t", "tmpfs", "tmpfs", self.layers)
        (self.layers / "upper").mkdir()
        (self.layers / "work").mkdir()
        done = subprocess.run(
            ["mount", "-t", "overlay", "-o",
             f"lowerdir=/,upperdir={self.layers}/upper,workdir={self.layers}/work", "overlay", self.root],
            capture_output=True, text=True)
        if done.returncode:
            raise unittest.SkipTest("an overlay of this root cannot be mounted here: " + done.stderr.strip())
        # No systemd runs in there, and the machine's own is out of reach.
        # Without the lists of what could be downloaded apt is quicker, and downloads nothing.
        empty = ("run", "tmp", "var/lib/apt/lists")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", *(self.root / d for d in (*empty, "dev"))]))
        for folder in empty:
            run("mount", "-t", "tmpfs", "tmpfs", self.root / folder)
        run("mount", "--bind", "/dev", self.root / "dev")
        shutil.copy(self.deb, self.root / "tmp")
        # The same one again, as a later one.
        tree = self.directory / "tree"
        run("dpkg-deb", "-R", self.deb, tree)
        control = tree / "DEBIAN/control"
        control.write_text(re.sub(r"(?m)^Version: .*", "Version: 0.2.0", control.read_text()))
        run("dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, self.root / "tmp/tidemill_0.2.0_amd64.deb")
        # Other packages' triggers (the manual's index, say) have nothing to do with us and take their time.
        (self.root / "etc/apt/apt.conf.d/99test").write_text(
            'APT::Get::Assume-Yes "true";\nDPkg::Options { "--no-triggers"; "--force-unsafe-io"; };\n')

    def inside(self, *command):
        return run("chroot", self.root, "env", "-i", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *command)

    def follow(self, heading):
        """Does what docs/operations.md says under this heading; gives what was printed."""
        said = ""
        for commands, expected in sections()[heading]:
            printed = self.inside("DEBIAN_FRONTEND=noninteractive", "bash", "-euc", "cd /tmp\n" + commands)
            if expected is not None:
                check_output(self, heading, expected, printed)
            said += printed
        return said

    def serve(self):
        """Runs what was installed, as its own user, with its own settings but for the port."""
        server = Server(self.directory)
        self.servers.append(server)
        with open(server.log, "ab") as log:
            server.process = subprocess.Popen(
                ["chroot", "--userspec=tidemill:tidemill", str(self.root), "/usr/bin/tidemill", "serve", "--config",
                 "/etc/tidemill/tidemill.toml", "--listen", f"127.0.0.1:{server.port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        server.wait_for()
        return server

    def test_its_whole_life(self):
        # What it says of itself. Depends come from the libraries that the program is linked with.
        fields = dict(line.split(": ", 1) for line in run("dpkg-deb", "-f", self.deb).splitlines() if ": " in line)
        self.assertRegex(fields["Depends"], r"\badduser\b.*\blibc6 \(>= .*\blibrocksdb7\.8 \(>= 7\.8\.3\)")
        self.assertEqual(run("dpkg-deb", "-I", self.deb, "conffiles").split(), ["/etc/tidemill/tidemill.toml"])
        listing = run("dpkg-deb", "-c", self.deb)
        self.assertEqual([l for l in listing.splitlines() if " root/root " not in l], [])

        # Installed: a user without a shell, a directory that is only its own, settings that point there.
        self.follow("Installation")
        self.assertRegex(self.inside("dpkg-query", "-W", "-f", "${Maintainer}\\n", "tidemill"), r"<.+@.+>")  # docs/security.md
        self.assertRegex(self.inside("getent", "passwd", "tidemill"), r":/var/lib/tidemill:/usr/sbin/nologin$")
        self.assertEqual(self.inside("stat", "-c", "%U:%G %a", "/var/lib/tidemill").strip(), "tidemill:tidemill 750")
        self.assertTrue((self.root / "etc/systemd/system/multi-user.target.wants/tidemill.service").is_symlink())
        self.inside("tidemill", "config", "check", "/etc/tidemill/tidemill.toml")

        # It runs as that user, and keeps a record.
        server = self.serve()
        self.assertEqual(server.post("/v1/streams/retail/records", {"InvoiceNo": "1"}).status, 200)
        self.assertEqual(server.stop(), 0, server.log_tail())

        # An upgrade keeps settings that were changed, and the record.
        config = self.root / "etc/tidemill/tidemill.toml"
        config.write_text(config.read_text().replace('level = "info"', 'level = "warning"'))
        self.follow("Upgrade")
        self.assertIn("0.2.0", self.inside("dpkg-query", "-W", "tidemill"))
        self.assertIn('level = "warning"', config.read_text())
        server = self.serve()
        self.assertEqual([r["data"] for r in server.records()], [{"InvoiceNo": "1"}])
        self.assertEqual(server.stop(), 0, server.log_tail())

        # Removed: settings and records stay. Purged: the settings go; the records stay, and it says where.
        self.inside("dpkg", "--no-triggers", "-r", "tidemill")
        self.assertFalse((self.root / "usr/bin/tidemill").exists())
        self.assertTrue(config.exists())
        self.follow("Removal")
        self.assertFalse(config.parent.exists())
        self.assertTrue((self.root / "var/lib/tidemill/TIDEMILL").exists())
        self.assertIn("tidemill", self.inside("getent", "passwd", "tidemill"))
        self.assertFalse((self.root / "etc/systemd/system/multi-user.target.wants/tidemill.service").is_symlink())

        # What was kept is found by whoever installs it again.
        self.inside("dpkg", "--no-triggers", "--force-unsafe-io", "-i", "/tmp/tidemill_0.2.0_amd64.deb")
        server = self.serve()
        self.assertEqual(len(list(server.records())), 1)
        self.assertEqual(server.stop(), 0, server.log_tail())

        # With nothing to keep, nothing is left.
        self.inside("rm", "-rf", "/var/lib/tidemill")
        self.assertNotIn("records stay", self.inside("dpkg", "--no-triggers", "-P", "tidemill"))
        passwd = subprocess.run(["chroot", self.root, "getent", "passwd", "tidemill"], capture_output=True)
        self.assertEqual(passwd.returncode, 2, passwd.stdout)
