"""What jobs are predicted to take: from shapes, from functions, from earlier runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from openhcs_core.compiler import CompileRequest, compile_plate
from openhcs_core.compiler.chain_costs import cost_of_chain
from openhcs_core.config import PipelineConfig, VFSConfig, load_yaml, validate
from openhcs_core.emission import emit_plan_files
from openhcs_core.microscopes import get_handler
from openhcs_core.pipeline import FunctionCost
from openhcs_core.plan import BatchAim, FunctionPlan, GroupPlan, Measurement, StepPlan, plan_digest
from openhcs_core.registry import FunctionMetadata, RegistryService

ROOT = Path(__file__).parents[3]
PLATE = ROOT / "data/demo/9987_Plate_3434"


class _Catalogue:
    def __init__(self, **costs):
        self._costs = costs

    def find(self, ref):
        return FunctionMetadata(ref=ref, module="t", attribute="t", cost=self._costs[ref[2:]])


@pytest.fixture(scope="module")
def request_of():
    index = get_handler("imagexpress", PLATE).index(PLATE)
    functions = RegistryService()

    def make(text=None, tmp_path=None, shape=None, measured=None):
        path = ROOT / "config/pipeline.yaml"
        if text is not None:
            path = tmp_path / "pipeline.yaml"
            path.write_text(text)
        channels = tuple(replace(one, shape=shape or one.shape) for one in index.channels)
        document = load_yaml(path)
        return CompileRequest(
            plate="demo",
            index=replace(index, channels=channels),
            wells=index.wells,
            pipeline=validate(PipelineConfig, document),
            document=document,
            storage=VFSConfig(),
            functions=functions,
            measured=measured or {},
        )

    return make


def _took(plan, step="clean", **changes):
    refs = next(one for one in plan.steps if one.step_name == step).functions
    values = {"cpu_s": 10.0, "wall_s": 12.0, "peak_mb": 777, "digest": "x"}
    return Measurement(**values | {"functions": tuple(one.ref for one in refs)} | changes)


def test_memory_grows_with_the_images_and_not_with_the_number_of_wells(request_of):
    small, large = (
        compile_plate(request_of(shape=(side, side))).predictions for side in (1000, 2000)
    )
    for step in small:
        assert large[step].peak_mb > small[step].peak_mb
    one_well = replace(request_of(shape=(1000, 1000)), wells=("B02",))
    assert compile_plate(one_well).predictions == small


def test_bytes_are_those_of_the_images_a_step_gives(request_of):
    plan = compile_plate(request_of(shape=(1000, 1000)))
    took = plan.predictions
    # three channels: two z planes each of one channel, one of the others, two sites
    planes = len({image.key for image in request_of().index.images if image.key.well == "B02"})
    assert took["clean"].cached_bytes == planes * 1_000_000 * 2
    assert took["clean"].kept_bytes == 0
    assert took["count"].cached_bytes == 0
    assert 0 < took["count"].kept_bytes < took["flatten"].cached_bytes * 4 / 3


def test_more_is_asked_for_than_predicted_and_settings_win(request_of, tmp_path):
    text = "steps:\n  - {name: a, func: {openhcs:max_projection: {}}, resources: {mem_mb: 5}}\n"
    plan = compile_plate(request_of(text, tmp_path))
    assert plan.resources["a"].mem_mb == 5
    plan = compile_plate(request_of())
    for step, took in plan.predictions.items():
        assert took.peak_mb < plan.resources[step].mem_mb < 2 * took.peak_mb + 100


def test_what_earlier_jobs_took_is_expected_of_the_next_ones(request_of):
    plan = compile_plate(request_of())
    records = [_took(plan), _took(plan, peak_mb=900, cpu_s=20.0)]
    better = compile_plate(request_of(measured={"clean": records}))
    took = better.predictions["clean"]
    assert (took.peak_mb, took.records) == (900, 2)
    assert took.cpu_s == pytest.approx(15.0, abs=1.0)
    assert better.resources["clean"].mem_mb >= 900
    assert better.predictions["count"] == plan.predictions["count"]


def test_what_other_functions_took_says_nothing(request_of):
    plan = compile_plate(request_of())
    other = _took(plan, functions=("openhcs:tophat",))
    assert compile_plate(request_of(measured={"clean": [other]})) == plan


PLATE_STEPS = """steps:
  - {name: light, scope: plate, func: openhcs:estimate_illumination}
  - {name: count, func: openhcs:count_cells_single_channel}
  - name: total
    scope: plate
    func: {openhcs:z_prime: {table: count/cell_counts, columns: [objects]}}
"""


def test_a_plate_table_is_predicted_by_the_images_it_is_of_and_the_plates_images_by_their_number(
    request_of, tmp_path
):
    request = request_of(PLATE_STEPS, tmp_path, shape=(2000, 2000))
    few = compile_plate(request).predictions
    many = compile_plate(replace(request, wells=(*request.wells * 500,))).predictions
    planes = sum(image.key.well == request.wells[0] for image in request.index.images)
    rows_mb = 500 * len(request.wells) * planes * 2000**2 / 4000 * 300 / 2**20
    assert many["total"].peak_mb - few["total"].peak_mb == pytest.approx(rows_mb, rel=0.01)
    assert few["light"].peak_mb <= many["light"].peak_mb < few["light"].peak_mb + 20


def test_a_record_of_a_step_over_the_plate_is_of_its_wells(request_of, tmp_path):
    request = request_of(PLATE_STEPS, tmp_path)
    plan = compile_plate(request)
    (total,) = (one for one in plan.steps if one.step_name == "total")
    for digest, peak_mb, expected in (
        (plan_digest(total), 12, 12),
        ("of other wells", 12, plan.predictions["total"].peak_mb),
        ("of other wells", 900, 900),
    ):
        record = _took(plan, "total", digest=digest, peak_mb=peak_mb)
        found = compile_plate(replace(request, measured={"total": (record,)})).predictions
        assert found["total"].peak_mb == expected


def test_no_plan_file_depends_on_predictions(request_of):
    plan = compile_plate(request_of())
    better = compile_plate(request_of(measured={"clean": [_took(plan)]}))
    assert better.resources != plan.resources
    assert emit_plan_files(better) == emit_plan_files(plan)


def _function(ref, **changes):
    return FunctionPlan(ref=ref, **changes)


def _chain(*functions, source="before", output_dtype=None, **costs):
    plan = StepPlan(step_name="s", source=source, output_dtype=output_dtype)
    group = GroupPlan(functions=functions)
    return cost_of_chain(plan, group, 4, 100, 2, _Catalogue(**costs))


def test_a_stack_that_is_taken_whole_is_held_beside_its_copy():
    cost = FunctionCost(bytes_per_px=10, itemsize=None, ns_per_px=3)
    chain = _chain(_function("t:f"), f=cost)
    assert chain.peak_bytes == 4 * 100 * (2 + 2 + 10)
    assert chain.cpu_ns == 4 * 100 * 3
    assert chain.result_bytes == 4 * 100 * 2
    of_plate = _chain(_function("t:f"), source=None, f=cost)
    assert of_plate.peak_bytes == 4 * 100 * (2 + 10)


def test_slices_are_worked_on_one_at_a_time():
    cost = FunctionCost(bytes_per_px=16, itemsize=8)
    chain = _chain(_function("t:f", slice_by_slice=True), output_dtype="uint8", f=cost)
    assert chain.peak_bytes == 4 * 100 * 2 + 3 * 100 * 8 + 100 * (2 + 16)
    assert chain.result_bytes == 4 * 100 * 8


def test_a_result_is_held_beside_what_is_stored_of_it():
    cost = FunctionCost(bytes_per_px=16, itemsize=8)
    chain = _chain(_function("t:f", slice_by_slice=True), f=cost)
    assert chain.peak_bytes == 2 * chain.result_bytes


def test_a_projection_leaves_one_plane_and_a_cast_its_own_type():
    cost = FunctionCost(bytes_per_px=1, itemsize=8)
    assert _chain(_function("t:f", collapses=True), f=cost).result_bytes == 100 * 8
    assert _chain(_function("t:f"), output_dtype="uint8", f=cost).itemsize == 1


def test_jobs_of_minutes_have_as_many_wells_as_their_longest_step_allows(request_of):
    usual = request_of()
    refs = {plan.step_name: plan for plan in compile_plate(usual).steps}

    def chosen(minutes, seconds, **changes):
        """What is chosen when a well of each step was measured to take so long."""
        measured = {
            step: (_took(compile_plate(usual), step, cpu_s=taken),)
            for step, taken in zip(refs, seconds, strict=True)
        }
        request = replace(
            usual, wells_per_job="auto", minutes_per_job=minutes, measured=measured, **changes
        )
        return compile_plate(request)

    plan = chosen(1, (10.0, 2.0, 30.0))
    assert plan.batch_aim == BatchAim(minutes=1, wells=2)
    assert max(map(len, plan.batches)) == 2
    assert chosen(1, (10.0, 2.0, 90.0)).batches == ()  # a well alone is longer
    fused = chosen(1, (10.0, 2.0, 18.0), granularity="fused")
    assert fused.runs[0] == ("clean", "flatten", "count")
    assert fused.batch_aim.wells == 2
    assert chosen(999, (1.0, 1.0, 1.0)).batch_aim.wells == len(usual.wells)

    # what was chosen stays while it is not far off, or something else is asked for
    before = BatchAim(minutes=1, wells=4)
    assert chosen(1, (10.0, 2.0, 30.0), aimed=before).batch_aim == before
    assert chosen(1, (10.0, 2.0, 60.0), aimed=before).batch_aim.wells == 1
    assert chosen(2, (10.0, 2.0, 120.0), aimed=before).batch_aim.wells == 1
    given = compile_plate(replace(usual, wells_per_job=2, aimed=before))
    assert given.batch_aim is None
    assert max(map(len, given.batches)) == 2


def test_a_job_of_many_wells_asks_for_the_time_that_they_take_together(request_of):
    usual = request_of()
    asked = compile_plate(
        replace(usual, measured={"clean": (_took(compile_plate(usual), cpu_s=59.2),)})
    ).resources["clean"]
    assert asked.runtime_min == 10  # the least
    assert asked.well_min == 5  # five times a minute


_SMOOTHED = """steps:
  - name: smooth
    func: {skimage:filters.gaussian: {sigma: 2, mode: MODE}}
    variable_components: [timepoint]
    output_dtype: uint16
"""


def test_slices_are_worked_on_in_parts_where_they_would_need_more_than_a_job_may(
    request_of, tmp_path
):
    text = _SMOOTHED.replace("MODE", "nearest")
    usual = compile_plate(request_of(text, tmp_path, shape=(2000, 2000)))
    assert usual.tiles == {}
    large = compile_plate(request_of(text, tmp_path, shape=(30_000, 20_000)))
    ((tile,),) = (tiles.values() for tiles in large.tiles.values())
    assert tile.halo_px == 9
    stack_mb = 30_000 * 20_000 * 2 / 2**20
    assert large.predictions["smooth"].peak_mb <= 3 * stack_mb + 400
    assert [plan.groups for plan in usual.steps] == [plan.groups for plan in large.steps]
    edge = _SMOOTHED.replace("MODE", "wrap")
    whole = compile_plate(request_of(edge, tmp_path, shape=(30_000, 20_000)))
    assert whole.tiles == {}
    assert whole.predictions["smooth"].peak_mb > 8 * stack_mb
