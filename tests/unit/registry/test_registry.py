"""Function registries: metadata without importing, functions with values unscaled."""

import numpy as np
import pytest

from openhcs_core.errors import CompileError
from openhcs_core.pipeline import ProcessingContract
from openhcs_core.registry import RegistryService
from openhcs_core.registry.source import source_digest

SERVICE = RegistryService()
ALL = SERVICE.get_all_functions_with_metadata()


def test_functions_of_the_main_job_exist():
    assert set(ALL) >= {
        "openhcs:count_cells_single_channel",
        "openhcs:max_projection",
        "openhcs:measure_intensity",
        "openhcs:stack_percentile_normalize",
        "openhcs:tophat",
        "skimage:filters.gaussian",
    }


@pytest.mark.parametrize("ref", sorted(ALL))
def test_every_function_is_fully_described_and_loads(ref):
    metadata = ALL[ref]
    assert metadata.doc
    assert metadata.input_memory_type == "numpy"
    assert metadata.output_memory_type == "numpy"
    assert metadata.versions
    assert metadata.parameters_schema["additionalProperties"] is False
    assert callable(SERVICE.load(ref))


@pytest.mark.parametrize("ref", [ref for ref in sorted(ALL) if ref.startswith("skimage:")])
def test_scikit_image_values_stay_in_the_plates_units(ref):
    metadata = ALL[ref]
    plane = np.full((16, 16), 40_000, dtype=np.uint16)
    result = SERVICE.load(ref)(plane, **metadata.defaults, **metadata.fixed)
    np.testing.assert_allclose(result, 40_000, rtol=1e-12)


def test_contracts():
    assert ALL["openhcs:max_projection"].contract is ProcessingContract.VOLUMETRIC_TO_SLICE
    assert ALL["openhcs:count_cells_single_channel"].contract is ProcessingContract.PURE_2D
    assert ALL["skimage:filters.gaussian"].contract is ProcessingContract.FLEXIBLE


def test_a_misspelt_name_in_the_wrong_library_finds_the_right_one():
    with pytest.raises(CompileError, match=r"did you mean 'skimage:filters\.gaussian'"):
        SERVICE.find("openhcs:filters.gaussian")


def test_a_damaged_cache_file_is_made_again(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = RegistryService().find("skimage:filters.gaussian")
    (path,) = (tmp_path / "openhcs-core").glob("functions-skimage-*.json")
    path.write_text("{")
    assert RegistryService().find("skimage:filters.gaussian") == first
    assert "making it again" in caplog.text
    assert RegistryService().find("skimage:filters.gaussian") == first


def test_source_digest_ignores_comments_docstrings_and_layout(tmp_path, monkeypatch):
    package = tmp_path / "sample_package_of_functions"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text("FACTOR = 2\n")
    module = package / "main.py"
    name = f"{package.name}.main"
    monkeypatch.syspath_prepend(tmp_path)

    def digest(text):
        module.write_text(f"from {package.name} import helper\nimport json\n{text}")
        return source_digest(name, package.name)

    first = digest("def f(x):\n    return x * helper.FACTOR\n")
    assert digest('# why\ndef f( x ):\n    """Say."""\n    return x*helper.FACTOR\n') == first
    assert digest("def f(x):\n    return x + helper.FACTOR\n") != first
    (package / "helper.py").write_text("FACTOR = 3\n")
    assert digest("def f(x):\n    return x * helper.FACTOR\n") != first
