"""Settings on four levels, whatever they are: compared with merged plain dicts."""

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from openhcs_core.compiler import CompileRequest, compile_plate
from openhcs_core.config import (
    ImageStorageConfig,
    Level,
    LocatedDocument,
    PipelineConfig,
    SettingsLevel,
    StepSettings,
    load_yaml,
    resolve_pipeline,
    validate,
)
from openhcs_core.emission import emit_plan_files
from openhcs_core.microscopes import get_handler
from openhcs_core.registry import RegistryService

PLATE = Path(__file__).parents[2] / "data/demo/9987_Plate_3434"
INDEX = get_handler("imagexpress", PLATE).index(PLATE)
FUNCTIONS = RegistryService()


def _some(**values):
    return st.fixed_dictionaries({}, optional=values)


_defaults = _some(
    variable_components=st.sampled_from([["site"], ["z_index"], ["site", "z_index"]]),
    group_by=st.sampled_from(["channel", "timepoint"]),
    slice_by_slice=st.none() | st.booleans(),
    output_dtype=st.none() | st.sampled_from(["uint16", "float32"]),
    keep=st.booleans(),
    resources=_some(mem_mb=st.none() | st.integers(1, 9000), runtime=st.integers(1, 99)),
)
_storage = _some(
    materialization=st.sampled_from(["zarr", "disk"]),
    zarr=_some(
        chunk_strategy=st.sampled_from(["WELL", "FILE"]),
        compressor=st.sampled_from(["ZSTD", "LZ4", "NONE"]),
        compression_level=st.integers(0, 9),
    ),
)
_steps = st.lists(_defaults, min_size=1, max_size=3)


def _merged(*layers):
    """Merge plain dicts, the last first, dicts inside them as well."""
    result = {}
    for layer in layers:
        for key, value in layer.items():
            old = result.get(key)
            result[key] = _merged(old or {}, value) if isinstance(value, dict) else value
    return result


def _document(name, data):
    return LocatedDocument(name, data, {})


def _level(level, defaults, storage):
    return SettingsLevel(
        level,
        _document(str(level), {}),
        (),
        StepSettings.model_validate(defaults),
        ImageStorageConfig.model_validate(storage),
    )


def _pipeline(steps, **others):
    """Return a pipeline of functions that can do both, so that any setting suits it."""
    return {
        "steps": [
            {"name": f"s{number}", "func": "skimage:filters.gaussian", **step}
            for number, step in enumerate(steps)
        ],
        **others,
    }


def _resolve(data, outer=()):
    document = _document("pipeline", data)
    return resolve_pipeline(validate(PipelineConfig, document), document, outer)


@given(st.tuples(*[_defaults] * 3), st.tuples(*[_storage] * 3), _steps)
def test_the_last_level_that_gives_a_key_wins(defaults, storage, steps):
    outer = [
        _level(Level.GLOBAL, defaults[0], storage[0]),
        _level(Level.PLATE, defaults[1], storage[1]),
    ]
    data = _pipeline(steps, defaults=defaults[2], storage=storage[2])
    resolved = _resolve(data, outer)
    for number, step in enumerate(steps):
        expected = StepSettings.model_validate(_merged(*defaults, step)).model_dump()
        found = resolved.pipeline.steps[number].model_dump()
        assert {key: found[key] for key in expected} == expected
    expected = ImageStorageConfig.model_validate(_merged(*storage))
    assert resolved.storage.model_dump() == expected.model_dump()


@given(st.tuples(*[_defaults] * 3), _steps)
def test_the_origin_is_the_last_level_that_gives_the_key(defaults, steps):
    outer = [_level(Level.GLOBAL, defaults[0], {}), _level(Level.PLATE, defaults[1], {})]
    resolved = _resolve(_pipeline(steps, defaults=defaults[2]), outer)
    levels = (Level.GLOBAL, Level.PLATE, Level.PIPELINE, Level.STEP)
    for number, step in enumerate(steps):
        for path in (("keep",), ("group_by",), ("resources", "mem_mb")):
            expected = Level.DEFAULT
            for level, layer in zip(levels, (*defaults, step), strict=True):
                inner = layer.get(path[0], {}) if len(path) > 1 else layer
                expected = level if path[-1] in inner else expected
            assert resolved.origins[("steps", number, *path)].level is expected


@given(st.tuples(*[_defaults] * 3), st.tuples(*[_storage] * 2), _steps)
def test_resolving_again_changes_nothing(defaults, storage, steps):
    outer = [_level(Level.GLOBAL, defaults[0], storage[0])]
    once = _resolve(_pipeline(steps, defaults=defaults[1], storage=storage[1]), outer)
    other = replace(_level(Level.PLATE, defaults[2], {}), storage=once.storage)
    again = resolve_pipeline(once.pipeline, once.document, [other])
    assert again.pipeline == once.pipeline
    assert again.storage == once.storage


def _files(data, outer=()):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pipeline.yaml")
        with path.open("w", encoding="utf-8") as stream:
            YAML(typ="safe").dump(data, stream)
        document = load_yaml(path)
    resolved = resolve_pipeline(validate(PipelineConfig, document), document, outer)
    request = CompileRequest(
        plate="demo",
        index=INDEX,
        wells=INDEX.wells,
        pipeline=resolved.pipeline,
        document=resolved.document,
        storage=resolved.storage,
        functions=FUNCTIONS,
        origins=resolved.origins,
    )
    return emit_plan_files(compile_plate(request))


@settings(max_examples=25)
@given(_defaults, _storage, st.integers(1, 3))
def test_plan_files_do_not_tell_at_which_level_a_value_was_given(defaults, storage, count):
    at_steps = _files(_pipeline([defaults] * count, storage=storage))
    assert _files(_pipeline([{}] * count, defaults=defaults, storage=storage)) == at_steps
    for level in (Level.GLOBAL, Level.PLATE):
        outer = [_level(level, defaults, storage)]
        assert _files(_pipeline([{}] * count), outer) == at_steps
