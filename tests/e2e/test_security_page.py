"""docs/security.md names tests and pages; they are there."""
import re
import unittest

from harness import root

PAGE = root / "docs/security.md"


class SecurityPage(unittest.TestCase):
    def test_its_links_lead_somewhere(self):
        text = PAGE.read_text()
        for target in re.findall(r"\]\(([^)]+)\)", text):
            self.assertTrue((root / "docs" / target.partition("#")[0]).exists(), target)
        self.assertIn("docs/security.md", (root / "README.md").read_text())

    def test_who_reports_finds_somebody_without_git(self):
        section = re.search(r"(?ms)^## Reporting a vulnerability\n(.*?)^## ", PAGE.read_text()).group(1)
        self.assertNotIn("git ", section)  # who has a package has no history, and its addresses may be nobody's
        self.assertIn("dpkg-query -W -f '${Maintainer}\\n' tidemill", section)
        # What a package says whose builder named nobody, and how one is named.
        contact = re.search(r'set\(CPACK_PACKAGE_CONTACT ".*<(.*)>"\)', (root / "tools/packaging/package.cmake").read_text()).group(1)
        self.assertEqual(set(re.findall(r"[\w.-]+@[\w.-]+", section)), {contact})
        self.assertTrue(contact.endswith("@localhost"), "an address that is read: say it on the page")
        self.assertIn("cpack -D CPACK_PACKAGE_CONTACT=", section)

    def test_every_measure_names_tests_that_are_there(self):
        section = re.search(r"(?ms)^## Measures\n(.*?)^## ", PAGE.read_text()).group(1)
        sources = "".join(p.read_text() for p in (root / "tests").rglob("*_test.cc"))
        named = 0
        for row in re.findall(r"(?m)^\| (.*) \|$", section)[2:]:
            tests = row.split(" | ")[2]
            found = 0
            for file, case, test in re.findall(r"(test_\w+\.py): (\w+)\.(\w+)", tests):
                text = (root / "tests/e2e" / file).read_text()
                body = re.search(rf"(?ms)^class {case}\(.*?(?=^class |\Z)", text)
                self.assertIsNotNone(body, f"{file}: {case}")
                self.assertIn(f"    def {test}(", body.group(0))
                found += 1
            for suite, test in re.findall(r"(?<![\w:] )\b([A-Z]\w+)\.([A-Z]\w+)", tests):
                self.assertRegex(sources, rf"TEST(_F|_P)?\({suite}, {test}\)", f"{suite}.{test}")
                found += 1
            for path in re.findall(r"`(tests/[\w/.]+)`", tests):
                self.assertTrue((root / path).exists(), path)
                found += 1
            self.assertGreater(found, 0, row)
            named += found
        self.assertGreater(named, 25)


if __name__ == "__main__":
    unittest.main()
