"""Settings given at several levels: who wins, and what is said of where a value comes from."""

from dataclasses import replace

import pytest

from openhcs_core.config import (
    Level,
    PipelineConfig,
    WorkflowConfig,
    config_levels,
    load_yaml,
    resolve_pipeline,
    validate,
)

PLATE = "plates:\n  p:\n    path: x\n"
STEP = "steps:\n  - {name: a, func: 'x:y'}\n"


@pytest.fixture
def resolve(tmp_path, monkeypatch):
    """Resolve a pipeline for plate p of a config."""
    monkeypatch.chdir(tmp_path)

    def resolve_(pipeline, config=PLATE):
        (tmp_path / "c.yaml").write_text(config)
        (tmp_path / "p.yaml").write_text(pipeline)
        read, written = load_yaml("c.yaml"), load_yaml("p.yaml")
        levels = config_levels(validate(WorkflowConfig, read), read, "p")
        return resolve_pipeline(validate(PipelineConfig, written), written, levels)

    return resolve_


def _origin(resolved, *path):
    origin = resolved.origins[path]
    return origin.level, origin.where


def test_what_nobody_gives_is_the_default(resolve):
    resolved = resolve(STEP)
    (step,) = resolved.pipeline.steps
    assert (step.variable_components, step.keep, step.output_dtype) == (("site",), False, None)
    assert _origin(resolved, "steps", 0, "keep") == (Level.DEFAULT, "")
    assert _origin(resolved, "storage", "zarr", "compressor") == (Level.DEFAULT, "")


PLACES = {
    Level.GLOBAL: "c.yaml:5 defaults.output_dtype",
    Level.PLATE: "c.yaml:4 plates.p.defaults.output_dtype",
    Level.PIPELINE: "p.yaml:1 defaults.output_dtype",
    Level.STEP: "p.yaml:3 steps[0].output_dtype",
}
DTYPES = dict(zip(PLACES, ("uint8", "uint16", "int32", "float32"), strict=True))


@pytest.mark.parametrize("strongest", PLACES)
def test_the_later_level_wins_and_its_place_is_known(resolve, strongest):
    given = list(PLACES)[: list(PLACES).index(strongest) + 1]
    text = {level: f"output_dtype: {DTYPES[level]}" if level in given else "" for level in PLACES}
    config = f"{PLATE}    defaults: {{{text[Level.PLATE]}}}\ndefaults: {{{text[Level.GLOBAL]}}}\n"
    step = ", ".join(["name: a", "func: 'x:y'", *filter(None, [text[Level.STEP]])])
    pipeline = f"defaults: {{{text[Level.PIPELINE]}}}\nsteps:\n  - {{{step}}}\n"
    resolved = resolve(pipeline, config)
    assert resolved.pipeline.steps[0].output_dtype == DTYPES[strongest]
    assert _origin(resolved, "steps", 0, "output_dtype") == (strongest, PLACES[strongest])


def test_null_written_out_is_a_value(resolve):
    pipeline = (
        "defaults: {output_dtype: uint8, slice_by_slice: true}\n"
        "steps:\n"
        "  - {name: a, func: 'x:y', output_dtype: null}\n"
        "  - {name: b, func: 'x:y'}\n"
    )
    first, second = resolve(pipeline).pipeline.steps
    assert (first.output_dtype, first.slice_by_slice) == (None, True)
    assert (second.output_dtype, second.slice_by_slice) == ("uint8", True)


def test_resources_and_zarr_are_merged_key_by_key(resolve):
    resolved = resolve(
        "defaults: {resources: {mem_mb: 2000}}\n"
        "storage: {zarr: {compression_level: 5}}\n"
        "steps:\n  - {name: a, func: 'x:y', resources: {runtime: 90}}\n",
        PLATE + "    storage: {zarr: {compressor: LZ4}, materialization: disk}\n"
        "defaults: {resources: {mem_mb: 1000, runtime: 5}}\n"
        "storage: {cache_gb: 7, zarr: {compressor: NONE, chunk_strategy: FILE}}\n",
    )
    resources, zarr = resolved.pipeline.steps[0].resources, resolved.storage.zarr
    assert (resources.mem_mb, resources.runtime) == (2000, 90)
    assert (zarr.chunk_strategy, zarr.compressor, zarr.compression_level) == ("FILE", "LZ4", 5)
    assert resolved.storage.materialization == "disk"
    assert [
        resolved.origins[("storage", "zarr", key)].where
        for key in ("chunk_strategy", "compressor", "compression_level", "ome_zarr_version")
    ] == [
        "c.yaml:6 storage.zarr.chunk_strategy",
        "c.yaml:4 plates.p.storage.zarr.compressor",
        "p.yaml:2 storage.zarr.compression_level",
        "",
    ]


def test_settings_of_one_step_have_origins_too(resolve):
    resolved = resolve(
        "steps:\n  - {name: a, func: 'x:y', materialize: {backend: disk}, passthrough: [x]}\n"
    )
    assert _origin(resolved, "steps", 0, "materialize", "backend") == (
        Level.STEP,
        "p.yaml:2 steps[0].materialize.backend",
    )
    assert _origin(resolved, "steps", 0, "input_source") == (Level.DEFAULT, "")


def test_the_document_knows_the_places_of_values_that_stand_elsewhere(resolve):
    resolved = resolve(STEP, PLATE + "defaults:\n  keep: true\n")
    where = resolved.document.where
    assert where(("steps", 0, "keep")) == "c.yaml:5 defaults.keep"
    assert where(("steps", 0, "func")) == "p.yaml:2 steps[0].func"
    assert resolved.document.has(("steps", 0, "keep"))
    assert not resolved.document.has(("steps", 0, "group_by"))


def test_resolving_changes_nothing_of_what_was_read(resolve, tmp_path):
    (tmp_path / "r.yaml").write_text("defaults: {keep: true}\n" + STEP)
    document = load_yaml("r.yaml")
    pipeline = validate(PipelineConfig, document)
    before = pipeline.model_copy(deep=True), replace(document)
    resolve_pipeline(pipeline, document)
    assert (pipeline, document) == before
