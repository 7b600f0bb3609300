"""``snakemake --logger openhcs``: in a terminal, in a pipe, in a dry run."""

import os
import pty
import subprocess
import sys

import pyte
import pytest
from snakemake_interface_logger_plugins.tests import TestLogHandlerBase

from openhcs_core.testing.plates import image_path
from snakemake_logger_plugin_openhcs import LogHandler, LogHandlerSettings

PIPELINE = """
steps:
  - {name: blur, func: {skimage:filters.gaussian: {sigma: 1}}}
  - {name: measure, func: openhcs:measure_intensity}
"""
COLUMNS, ROWS = 120, 50


class TestHandler(TestLogHandlerBase):
    """Snakemake's own tests of log handlers."""

    __test__ = True

    def get_log_handler_cls(self):
        return LogHandler

    def get_log_handler_settings(self):
        return LogHandlerSettings()


def test_snakemake_finds_the_plugin_from_anywhere():
    code = (
        "from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry as R;"
        "print(R().get_plugin('openhcs').settings_cls)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=False
    )
    assert "LogHandlerSettings" in run.stdout, run.stderr


def test_commands_that_do_not_use_the_plugin_do_not_pay_for_it():
    code = (
        "import sys, snakemake_logger_plugin_openhcs;"
        "print(*{'rich', 'pydantic', 'numpy', 'openhcs_core.session'} & {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def _in_terminal(project, *arguments):
    """Run snakemake in a pseudo-terminal; return its exit code, screen and what it wrote."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project.snakefile)]
    command += ["--directory", str(project.folder), "--cores", "2", "--logger", "openhcs"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": "", "LINES": ""}
        os.chdir(project.folder)
        os.execv(command[0], [*command, *arguments])
    os.set_blocking(terminal, True)
    import fcntl
    import struct
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    screen = pyte.HistoryScreen(COLUMNS, ROWS, history=10_000)
    stream, drawn = pyte.ByteStream(screen), set()
    while True:
        try:
            data = os.read(terminal, 1 << 16)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        stream.feed(data)
        drawn.add("\n".join(screen.display))
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), screen, drawn


def _lines(screen):
    above = ["".join(line[n].data for n in range(COLUMNS)) for line in screen.history.top]
    return [line.rstrip() for line in [*above, *screen.display]]


def _place(lines, text):
    found = [number for number, line in enumerate(lines) if text in line]
    assert found, f"{text!r} is not in\n" + "\n".join(lines)
    return found[-1]


@pytest.fixture(scope="module")
def failed_in_terminal(new_small_project, tmp_path_factory):
    """A project whose run, in a terminal, had one bad image."""
    project = new_small_project(tmp_path_factory.mktemp("progress") / "small", [1, 2, 3])
    project.write("config/pipeline.yaml", PIPELINE)
    image = image_path(project.plate, "A02", 2)
    sound = image.read_bytes()
    image.write_bytes(b"no image")
    result = _in_terminal(project)
    image.write_bytes(sound)
    return project, *result


def test_a_run_in_a_terminal_is_drawn_by_plate_and_step(failed_in_terminal):
    _, code, screen, drawn = failed_in_terminal
    assert code == 1
    assert any("blur" in text and "running" in text for text in drawn)
    lines = _lines(screen)
    assert sum("demo (3 wells)" in line for line in lines) == 1  # drawn over, not again and again
    panel = _place(lines, "demo (3 wells)")
    assert "2/3  1 failed" in lines[panel + 1]
    assert "2/3  1 after a failure" in lines[panel + 2]
    assert lines[panel + 4].split() == ["A", "D", "F", "D"]
    assert "D done 2   R running 0   F failed 1   . waiting 0" in lines[panel + 5]
    assert not screen.cursor.hidden


def test_a_failure_and_the_summary_stand_around_the_last_drawing(failed_in_terminal):
    _, _, screen, _ = failed_in_terminal
    lines = _lines(screen)
    panel = _place(lines, "demo (3 wells)")
    assert _place(lines, "failed  demo A02, step 'blur':") < panel
    assert panel < _place(lines, "Plate 'demo': 2 of 3 wells done, 1 failed")
    assert panel < _place(lines, "At least one job did not complete successfully")
    text = "\n".join(lines)
    assert "found other content beginning with b'no image'" in text.replace("\n", "")
    for scrolled in ("localrule", "rule blur", "    shell:", "jobid", "Select jobs"):
        assert scrolled not in text


def test_a_run_in_a_pipe_goes_on_from_there(failed_in_terminal):
    project = failed_in_terminal[0]
    dry = project.snakemake("-n", "--logger", "openhcs")
    assert "demo, step 'blur': 1 well: A02 (" in dry.output
    assert "demo, step 'measure': 1 well: A02 (" in dry.output
    assert "rule blur" not in dry.output

    run = project.snakemake("--logger", "openhcs", "--logger-openhcs-interval", "0")
    assert run.returncode == 0, run.output
    assert "This run: 1 of 3 wells of plate 'demo'" in run.output
    assert "demo: blur 2/3 1 running; measure 2/3" in run.output
    assert "(100 %)" in run.output
    assert run.output.index("(100 %)") < run.output.index("Results of plate 'demo'")
    assert "\x1b[" not in run.output
    assert run.jobs  # --printshellcmds is heeded
