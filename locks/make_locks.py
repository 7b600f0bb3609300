"""Write locks/<extra>.txt: exact versions with hashes of all that each extra installs.

python locks/make_locks.py [options of uv pip compile, such as --exclude-newer 2026-10-15]

uv resolves all extras together once, so that a package has one version in all files, and then
each by itself. A file of an extra begins with base.txt and has only what it adds.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent / "pyproject.toml"
_COMPILE = ("pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header")
_PLAIN = ("--no-annotate", "--no-emit-index-url", "--no-emit-find-links")
_HEADER = """# Written by 'make lock'. To install what is here and nothing else:
#   pip install --require-hashes -r locks/{name}.txt && pip install --no-deps openhcs-core
"""
_ENTRY = re.compile(r"^\S.*(?:\n {4}\S.*)*", re.MULTILINE)


def compile_requirements(*arguments: str) -> list[str]:
    """Return the entries that uv resolves: a requirement with its hashes each."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    python = project["requires-python"].removeprefix(">=")
    command = [sys.executable, "-m", "uv", *_COMPILE, *_PLAIN, "--python-version", python]
    run = subprocess.run(
        [*command, str(PROJECT), *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return _ENTRY.findall(run.stdout)


def main(options: list[str]) -> None:
    """Write a file for the base and for every extra; remove those of no extra."""
    extras = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    with tempfile.TemporaryDirectory() as folder:
        together = Path(folder, "together.txt")
        together.write_text("\n".join(compile_requirements("--all-extras", *options)) + "\n")
        alike = ("--constraint", str(together), *options)
        base = compile_requirements(*alike)
        locks = {extra: compile_requirements("--extra", extra, *alike) for extra in extras}
    for path in HERE.glob("*.txt"):
        path.unlink()
    _write("base", base)
    for extra, entries in locks.items():
        _write(extra, ["-r base.txt", *(entry for entry in entries if entry not in base)])


def _write(name: str, entries: list[str]) -> None:
    text = _HEADER.format(name=name) + "\n".join(entries) + "\n"
    (HERE / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
