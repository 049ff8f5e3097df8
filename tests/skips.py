"""A skipped test is a hole: where CI=true, a skip that ``tests/allowed_skips.txt`` does not name fails the run.

A line of that file is the name of a test and the reason it gives, with a bar between; # begins a comment.
"""

import os
from pathlib import Path

import pytest

LIST = "tests/allowed_skips.txt"


def allowed(path: Path) -> set[tuple[str, str]]:
    """{(test, reason)} of a list; none where there is no such file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    entries = (line.partition("|") for line in lines if line.strip() and not line.startswith("#"))
    return {(test.strip(), reason.strip()) for test, _, reason in entries}


class Skips:
    """What was skipped; with xdist the reports of every worker arrive at the process that started them."""

    def __init__(self, root: Path, strict: bool):
        self.allowed, self.strict, self.holes = allowed(root / LIST), strict, list[tuple[str, str]]()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.note(report)

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            skip = report.nodeid, reason.removeprefix("Skipped: ")
            if skip not in self.allowed:
                self.holes.append(skip)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if (
            self.strict
            and self.holes
            and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for test, reason in self.holes:
            terminalreporter.write_line(f"{'FAILED' if self.strict else 'hole'}: {test} was skipped: {reason}")
        if self.strict and self.holes:
            terminalreporter.write_line(f"CI allows no skip that {LIST} does not name")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Skips(config.rootpath, os.environ.get("CI") == "true"), "skips")
