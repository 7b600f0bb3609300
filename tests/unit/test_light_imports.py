"""What must start fast loads no array library, no zarr, no pandas and no Snakemake."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = {
    *("numpy", "scipy", "skimage", "zarr", "numcodecs", "pandas", "rich", "tifffile", "roifile"),
    *("tensorstore", "ome_zarr", "ngio", "jsonschema", "snakemake", "dask", "distributed"),
    *("cupy", "torch", "tensorflow", "jax", "pyclesperanto", "pyclesperanto_prototype", "pyopencl"),
}
_IMPORT_ALL = """
import importlib, json, sys
heavy, names = json.loads(sys.argv[1])
guilty = {}
for name in names:
    before = set(sys.modules)
    importlib.import_module(name)
    new = sorted({module.partition('.')[0] for module in set(sys.modules) - before} & set(heavy))
    if new:
        guilty[name] = new
print(json.dumps(guilty))
"""


def _heavy_imports(names, heavy=HEAVY):
    """Import modules in one new process; return which of them loaded something heavy."""
    run = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL, json.dumps([sorted(heavy), names])],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return json.loads(run.stdout)


def _modules(package):
    """Return the names of a package and of all modules in it."""
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_importing_any_module_loads_no_heavy_library():
    names = [
        name
        for name in _modules("openhcs_core")
        # test kits run beside the array libraries they test; __main__ runs the command line
        if not name.startswith("openhcs_core.testing") and name != "openhcs_core.__main__"
    ]
    assert len(names) > 100
    assert _heavy_imports(names) == {}


def test_importing_a_snakemake_plugin_loads_no_array_library():
    names = sorted(path.name for path in ROOT.glob("snakemake_*_plugin_openhcs"))
    assert _heavy_imports(names, HEAVY - {"snakemake"}) == {}


def test_what_puts_results_back_loads_the_standard_library_alone():
    names = ["openhcs_core.cli.main", *_modules("openhcs_core/put_back"), "openhcs_core.planes"]
    names += _modules("openhcs_core/ground")
    code = (
        "import sys; from importlib import import_module; "
        f"[import_module(name) for name in {names!r}]; "
        "loaded = {name.partition('.')[0] for name in sys.modules}; "
        "print(sorted(loaded - sys.stdlib_module_names), 'importlib.metadata' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout.strip() == "['__main__', 'openhcs_core'] False"


def test_a_job_that_computes_loads_no_models_of_config_files():
    unneeded = {"natsort", "ruamel"}
    unneeded |= {f"openhcs_core.config.{name}" for name in ("workflow", "yaml_", "resolve")}
    code = (
        "import sys, openhcs_core.runtime, openhcs_core.storage, openhcs_core.plan; "
        f"print(sorted(set({sorted(unneeded)!r}) & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout.strip() == "[]"


def test_the_check_itself_finds_a_heavy_library():
    assert _heavy_imports(["json", "tifffile"]) == {"tifffile": ["numpy", "tifffile"]}


def test_compiling_the_demo_loads_no_heavy_library():
    heavy = sorted(HEAVY - {"jsonschema"})  # checks parameters
    code = (
        "import sys; from openhcs_core.session import compile_workflow; "
        "compile_workflow('config/config.yaml'); "
        f"print([name for name in {heavy!r} if name in sys.modules], end='')"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout == "[]"
