"""Values from one step's job to another's: pipeline text to plans, jobs, files and manifests."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from openhcs_core.compiler import CompileRequest, compile_plate
from openhcs_core.config import PipelineConfig, VFSConfig, load_yaml, validate
from openhcs_core.emission import emit_plan_files, emit_plan_index
from openhcs_core.errors import InputDataError, PlanChangedError, StepFunctionError
from openhcs_core.memory.decorators import numpy as numpy_memory
from openhcs_core.microscopes import get_handler, well_index
from openhcs_core.pipeline import (
    ProcessingContract,
    chain_breaker,
    processing_contract,
    special_inputs,
    special_outputs,
)
from openhcs_core.plan import CompiledPipeline, SpecialOutputPlan, index_path
from openhcs_core.registry import FunctionMetadata, RegistryService
from openhcs_core.registry.signatures import annotated_schema, plain_defaults
from openhcs_core.registry.unified_registry import LibraryRegistryBase
from openhcs_core.runtime import Job, compute_images, execute_step, read_manifest

PLATE = Path(__file__).parents[3] / "data/demo/9987_Plate_3434"
"""Two wells, two sites; two z planes of channel 1, one of channels 2 and 3."""
TOLD = []
"""What the functions below were given, in call order."""
VALUES = {
    "plain": {"a": [1, (2.5, None)], 3: float("nan"), "deep": {"b": True}},
    "array": np.arange(6, dtype=np.int16).reshape(2, 3),
    "scalar": np.float32(0.1),
    "table": pd.DataFrame({"label": np.array([1, 2], np.uint8), "name": ["x", None]}),
}


@numpy_memory
@special_outputs("mean")
def of_stack(image_stack):
    return image_stack, float(image_stack.mean())


@numpy_memory
@processing_contract(ProcessingContract.PURE_2D)
@special_outputs("mean")
def of_slice(image_stack):
    return image_stack, float(image_stack.mean())


@numpy_memory
@special_inputs("mean")
def tell(image_stack, mean, *, times: int = 1):
    TOLD.append((float(image_stack.mean()), mean))
    return image_stack


@numpy_memory
@processing_contract(ProcessingContract.PURE_2D)
@special_inputs("mean")
def tell_slice(image_stack, mean):
    TOLD.append((float(image_stack.mean()), mean))
    return image_stack


@numpy_memory
@processing_contract(ProcessingContract.VOLUMETRIC_TO_SLICE)
def project(image_stack):
    return image_stack.max(axis=0, keepdims=True)


@numpy_memory
@special_outputs(*VALUES)
def give_all(image_stack):
    return image_stack, *VALUES.values()


@numpy_memory
@special_inputs(*VALUES)
def take_all(image_stack, plain, array, scalar, table):
    TOLD.append({"plain": plain, "array": array.copy(), "scalar": scalar, "table": table})
    array[:] = 0  # nobody else may see this
    return image_stack


@numpy_memory
@special_outputs("mean")
def give_set(image_stack):
    return image_stack, {1, 2}


@chain_breaker
@numpy_memory
@special_outputs("mean")
def black(image_stack):
    return np.zeros_like(image_stack), float(image_stack.mean())


class Registry(LibraryRegistryBase):
    """The functions of this file."""

    library_name = "t"
    distributions = ("numpy",)
    _functions = (
        of_stack,
        of_slice,
        tell,
        tell_slice,
        project,
        give_all,
        take_all,
        give_set,
        black,
    )

    def get_functions(self):
        return self.discover()

    def load_function(self, name):
        return {function.__name__: function for function in self._functions}[name]

    def discover(self):
        return {f"t:{function.__name__}": self._describe(function) for function in self._functions}

    def _describe(self, function):
        taken = getattr(function, "special_inputs", ())
        return FunctionMetadata(
            ref=f"t:{function.__name__}",
            module=__name__,
            attribute=function.__name__,
            parameters_schema=annotated_schema(function, taken),
            defaults=plain_defaults(function, taken),
            input_memory_type=function.input_memory_type,
            output_memory_type=function.output_memory_type,
            contract=getattr(function, "processing_contract", ProcessingContract.PURE_3D),
            special_inputs=taken,
            special_outputs=tuple(
                SpecialOutputPlan(name=output.name, spec=output.spec)
                for output in getattr(function, "special_outputs", ())
            ),
            chain_breaker=getattr(function, "chain_breaker", False),
            versions=self.get_library_versions(),
        )


class Workplace:
    """A compiled pipeline on the demo plate, and its jobs."""

    def __init__(self, folder, text):
        self.service = RegistryService({"t": f"{__name__}:Registry"})
        self.folder = folder / "results/demo"
        path = folder / "pipeline.yaml"
        path.write_text(f"steps:\n{text}")
        document = load_yaml(path)
        self.index = get_handler("imagexpress", PLATE).index(PLATE)
        self.plan = compile_plate(
            CompileRequest(
                plate="demo",
                index=self.index,
                wells=self.index.wells,
                pipeline=validate(PipelineConfig, document),
                document=document,
                storage=VFSConfig(materialization="disk"),
                functions=self.service,
            )
        )
        location = {"plate_path": str(PLATE), "cache_dir": str(folder / "cache")}
        files = {
            **emit_plan_files(self.plan),
            "workspace/location.json": json.dumps(location),
            **{
                index_path(well): json.dumps(well_index(self.index, well, raw="checked"))
                for well in self.index.wells
            },
        }
        for name, content in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(content)

    def run(self, *wells):
        for well in wells or ("B02",):
            for step in self.plan.steps:
                self.run_step(step.step_name, well)
        return self

    def run_step(self, step, well="B02"):
        execute_step(Job(self.folder, step), well, self.service.load)

    def manifest(self, step, well="B02"):
        return read_manifest(self.folder / f"manifests/{step}/{well}.json")

    def bytes_of(self, name):
        return (self.folder / name).read_bytes()


@pytest.fixture
def workplace(tmp_path):
    TOLD.clear()
    return lambda text: Workplace(tmp_path, text)


def _check_pairs(expected_calls):
    """Each call was given the mean of its own images."""
    assert len(TOLD) == expected_calls
    for seen, given in TOLD:
        assert given == seen
    assert len({seen for seen, _ in TOLD}) == expected_calls


def test_each_call_gets_the_value_of_its_own_images_in_each_well(workplace):
    place = workplace("  - {name: a, func: t:of_stack}\n  - {name: b, func: t:tell}\n")
    place.run("B02", "B03")
    _check_pairs(2 * 4)  # wells; channel 1 twice
    for well in ("B02", "B03"):
        name = f"special/a/{well}.mean.zip"
        record = place.manifest("a", well).files[name]
        assert place.manifest("b", well).special == {name: record.digest}
        assert record.size_bytes == len(place.bytes_of(name))
    targets = json.loads(emit_plan_index(CompiledPipeline(results="r", plates=(place.plan,))))
    assert "r/demo/special/a/B03.mean.zip" in targets["targets"]
    assert place.plan.steps[1].as_dict("B02")["special_inputs"] == {
        "mean": {"path": "special/a/B02.mean.zip", "backend": "disk"}
    }
    assert place.plan.steps[0].as_dict("B02")["special_outputs"] == {
        "mean": {"path": "special/a/B02.mean.zip", "backend": "disk"}
    }


def test_every_type_that_travels_arrives_and_each_call_has_its_own(workplace):
    place = workplace(
        "  - {name: a, func: t:give_all}\n"
        "  - {name: b, func: t:take_all}\n"
        "  - {name: c, func: t:take_all}\n"
    )
    place.run()
    assert len(TOLD) == 2 * 4  # two takers of one giver
    for told in TOLD:
        assert repr(told["plain"]) == repr(VALUES["plain"])
        assert told["array"].dtype == np.int16
        np.testing.assert_array_equal(told["array"], VALUES["array"])
        assert type(told["scalar"]) is np.float32
        pd.testing.assert_frame_equal(told["table"], VALUES["table"], check_exact=True)


def test_the_same_input_gives_the_same_bytes(workplace):
    place = workplace("  - {name: a, func: t:give_all}\n  - {name: b, func: t:take_all}\n").run()
    names = [f"special/a/B02.{name}.zip" for name in VALUES] + ["manifests/b/B02.json"]
    before = [place.bytes_of(name) for name in names]
    place.run()
    assert [place.bytes_of(name) for name in names] == before


def test_a_stack_gets_a_list_of_its_slices_values_in_stack_order(workplace):
    place = workplace(
        "  - {name: a, func: t:of_slice}\n"
        "  - {name: b, func: t:tell, variable_components: [z_index]}\n"
    ).run()
    special = place.plan.steps[1].groups[0].functions[0].special_inputs[0]
    assert special.is_list
    assert len(TOLD) == 2 * 3  # sites, channels
    for seen, given in TOLD:
        assert np.mean(given) == pytest.approx(seen, rel=1e-12)
    assert [len(given) for _, given in TOLD] == [2, 1, 1] * 2  # by the plan a list, of one too
    path = PLATE / "TimePoint_1/ZStep_{}/9987_B02_s1_w1.TIF"
    planes = [tifffile.imread(str(path).format(z)) for z in (1, 2)]
    assert TOLD[0][1] == [plane.mean() for plane in planes]


def test_slices_share_their_stacks_value(workplace):
    workplace(
        "  - {name: a, func: t:of_stack, variable_components: [z_index]}\n"
        "  - {name: b, func: t:tell_slice, variable_components: [z_index]}\n"
    ).run()
    assert len(TOLD) == 8
    first, second = TOLD[:2]
    assert first[1] == second[1] == pytest.approx((first[0] + second[0]) / 2, rel=1e-12)
    assert first[0] != second[0]
    assert [seen == given for seen, given in TOLD[2:4]] == [True, True]


def test_a_projection_gets_the_values_of_all_it_was_made_of_not_of_the_first(workplace):
    workplace(
        "  - {name: a, func: t:of_slice}\n"
        "  - {name: flat, func: t:project, variable_components: [z_index]}\n"
        "  - {name: b, func: t:tell_slice}\n"
    ).run()
    assert [len(given) for _, given in TOLD] == [2, 2, 1, 1, 1, 1]
    workplace(
        "  - {name: a, func: [t:of_slice, t:project, t:tell], variable_components: [z_index]}\n"
    ).run()
    assert [len(given) for _, given in TOLD[6:]] == [2, 1, 1] * 2


def test_what_was_found_on_a_projection_holds_for_all_its_slices(workplace):
    workplace(
        "  - {name: flat, func: [t:project, t:of_slice], variable_components: [z_index]}\n"
        "  - {name: b, func: t:tell_slice, input_source: pipeline_start,"
        " variable_components: [z_index]}\n"
    ).run()
    assert len(TOLD) == 8
    assert TOLD[0][1] == TOLD[1][1] > max(TOLD[0][0], TOLD[1][0])
    assert len({given for _, given in TOLD}) == 6


def test_groups_take_from_their_own_group_or_from_the_only_one(workplace):
    place = workplace(
        "  - {name: a, func: {'1': t:of_stack, '2': t:of_stack}, passthrough: ['3']}\n"
        "  - {name: b, func: {'1': t:tell, '2': t:tell}, passthrough: ['3']}\n"
    ).run()
    _check_pairs(3)
    assert set(place.manifest("b").special) == {
        "special/a/B02.1.mean.zip",
        "special/a/B02.2.mean.zip",
    }
    TOLD.clear()
    workplace(
        "  - {name: a, func: {'1': t:of_stack}, passthrough: ['2', '3']}\n"
        "  - {name: b, func: t:tell}\n"
    ).run()
    assert len(TOLD) == 4
    assert [seen == given for seen, given in TOLD] == [True, True, False, False]
    assert [given for _, given in TOLD[2:]] == [TOLD[0][1]] * 2  # of channel 1, same z


def test_a_chain_hands_values_on_and_a_chain_breaker_the_first_images(workplace):
    place = workplace("  - {name: a, func: [t:black, t:tell]}\n").run()
    _check_pairs(4)
    assert not (place.folder / "special").exists()
    inputs = place.manifest("a").inputs
    assert place.manifest("a").plane_digests() == inputs


def test_after_a_chain_breaker_the_next_step_reads_the_plate(workplace):
    place = workplace("  - {name: a, func: t:black}\n  - {name: b, func: t:tell}\n").run()
    assert [step.source for step in place.plan.steps] == [None, None]
    _check_pairs(4)
    assert place.manifest("b").inputs == place.manifest("a").inputs


PAIR = "  - {name: a, func: t:of_stack}\n  - {name: b, func: t:tell}\n"


def test_images_can_be_computed_again_with_their_special_inputs(workplace):
    place = workplace(f"{PAIR}  - {{name: c, func: t:project}}\n").run()
    for path in (place.folder.parents[1] / "cache").rglob("*.npy"):
        path.unlink()
    compute_images(Job(place.folder, "a"), "B02", place.service.load)
    compute_images(Job(place.folder, "b"), "B02", place.service.load)
    before = place.bytes_of("manifests/c/B02.json")
    place.run_step("c")
    assert place.bytes_of("manifests/c/B02.json") == before


def test_an_altered_or_missing_file_is_not_taken(workplace):
    place = workplace(PAIR).run()
    path = place.folder / "special/a/B02.mean.zip"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(InputDataError, match=r"B02.mean.zip is not what its step wrote; delete"):
        place.run_step("b")
    path.unlink()
    with pytest.raises(InputDataError, match=r"B02.mean.zip is missing: what this step reads"):
        place.run_step("b")


def test_a_file_that_changes_while_the_job_runs_stops_it(workplace):
    place = workplace(PAIR).run()
    manifest = place.folder / "manifests/b/B02.json"
    manifest.unlink()  # as snakemake does before a job
    shutil.rmtree(place.folder.parents[1] / "cache/jobs")
    path = place.folder / "special/a/B02.mean.zip"

    def load(ref):
        path.write_bytes(b"of a later run")
        return place.service.load(ref)

    with pytest.raises(PlanChangedError, match=r"B02.mean.zip changed while this job ran"):
        execute_step(Job(place.folder, "b"), "B02", load)
    assert not manifest.exists()


def test_what_cannot_travel_fails_the_step_that_gives_it(workplace):
    with pytest.raises(
        StepFunctionError,
        match=r"^step 'a', well B02: output 'mean': value 1 is set, which cannot travel",
    ):
        workplace("  - {name: a, func: t:give_set}\n  - {name: b, func: t:tell}\n").run()


def test_special_inputs_are_no_parameters():
    metadata = Registry().get_functions()["t:tell"]
    assert list(metadata.parameters_schema["properties"]) == ["times"]
    assert metadata.defaults == {"times": 1}
