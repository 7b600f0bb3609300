"""Steps over the whole plate: what they are compiled to, and what they cannot be."""

import pytest

from openhcs_core.compiler import CompileRequest, compile_plate
from openhcs_core.config import PipelineConfig, VFSConfig, load_yaml, validate
from openhcs_core.constants import Component
from openhcs_core.errors import ErrorGroup
from openhcs_core.microscopes import ChannelInfo, ImageFile, PlateIndex
from openhcs_core.plan import PLATE_TARGET, read_names
from openhcs_core.planes import PlaneKey
from openhcs_core.registry import RegistryService

WELLS = ("A01", "A02", "B01")
LIGHT = "{name: light, scope: plate, func: openhcs:estimate_illumination}"
EVEN = "{name: even, func: openhcs:correct_illumination}"
COUNT = "{name: count, func: openhcs:count_cells_single_channel}"


@pytest.fixture
def compiled(tmp_path):
    """Compile a pipeline of the steps given for a plate of three wells."""
    keys = [PlaneKey(well, site, "1", z, 1) for well in WELLS for site in (1, 2) for z in (1, 2)]
    index = PlateIndex(
        tmp_path,
        "imagexpress",
        "imagexpress",
        tuple(ImageFile(key, key.filename, 1, 1) for key in keys),
        (ChannelInfo("1", "DAPI", "uint16", (8, 8)),),
    )

    def compile_(*steps, more=""):
        path = tmp_path / "pipeline.yaml"
        path.write_text("steps:\n" + "".join(f"  - {step}\n" for step in steps) + more)
        document = load_yaml(path)
        return compile_plate(
            CompileRequest(
                plate="p",
                index=index,
                wells=WELLS,
                pipeline=validate(PipelineConfig, document),
                document=document,
                storage=VFSConfig(),
                functions=RegistryService(),
            )
        )

    return compile_


def test_the_next_step_reads_what_a_step_over_the_plate_has_read(compiled):
    plate = compiled("{name: hat, func: openhcs:tophat}", LIGHT, EVEN, COUNT)
    hat, light, even, _ = plate.steps
    assert [plan.source for plan in plate.steps] == [None, "hat", "hat", "even"]
    assert (light.wells, light.store, hat.wells) == (WELLS, None, ())
    assert plate.variants(light) == [(light, (PLATE_TARGET,))]
    assert plate.variants(even) == [(even, WELLS)]
    (special,) = even.functions[0].special_inputs
    assert (special.step, special.of_plate) == ("light", True)
    assert special.agree_on == (Component.CHANNEL, Component.Z_INDEX, Component.TIMEPOINT)
    assert read_names(light, PLATE_TARGET) == tuple(f"manifests/hat/{well}.json" for well in WELLS)
    assert read_names(even, "A02") == ("manifests/hat/A02.json", "manifests/light/plate.json")
    assert [plan.step_name for plan in plate.steps if plan.store is not None] == ["count"]
    assert plate.job_count == 3 * 3 + 1 + 1 + 1  # wells, the plate, a table, a store


def test_wells_are_stacked_first_and_need_not_be_named(compiled):
    given = "{name: light, scope: plate, func: openhcs:estimate_illumination, "
    for components in ("", "variable_components: [site], ", "variable_components: [site, well], "):
        (light, _) = compiled(f"{given}{components}}}", EVEN).steps
        assert light.variable_components == (Component.WELL, Component.SITE)
    (light, even) = compiled(f"{given}variable_components: [site, z_index]}}", EVEN).steps
    (special,) = even.functions[0].special_inputs
    assert special.agree_on == (Component.CHANNEL, Component.TIMEPOINT)


def test_a_step_of_plate_tables_reads_no_images(compiled):
    compare = (
        "{name: compare, scope: plate, func: {openhcs:normalize_to_controls: "
        "{table: count/cell_counts, columns: [area_px]}}}"
    )
    plate = compiled(COUNT, compare, "{name: hat, func: openhcs:tophat}")
    _, plan, hat = plate.steps
    assert (plan.source, plan.takes_images, hat.source) == (None, False, "count")
    assert [table.file for table in plan.tables] == ["cell_counts.csv"]
    assert read_names(plan, PLATE_TARGET) == (
        *(f"manifests/count/{well}.json" for well in WELLS),
        "tables/count/cell_counts.csv",
        "plan/count/cell_counts.csv.json",
    )
    assert "table" not in plan.functions[0].parameters


def _rate(table):
    func = f"{{openhcs:z_prime: {{table: {table}, columns: [area_px]}}}}"
    return f"{{name: rate, scope: plate, func: {func}}}"


@pytest.mark.parametrize(
    ("steps", "texts"),
    [
        (
            ["{name: a, func: openhcs:tophat, scope: plate}"],
            ["openhcs:tophat takes a stack of one well; scope: plate needs a function"],
        ),
        (
            ["{name: a, func: openhcs:estimate_illumination}"],
            ["openhcs:estimate_illumination works on all wells at once; add scope: plate"],
        ),
        (
            ["{name: a, func: openhcs:tophat, variable_components: [well]}"],
            ["well cannot be stacked in a step that does one well"],
        ),
        (
            [f"{LIGHT[:-1]}, keep: true, output_dtype: uint8}}"],
            ["keep is about a step's images", "output_dtype is about a step's images"],
        ),
        (
            [
                "{name: a, scope: plate, func: [openhcs:estimate_illumination, "
                "openhcs:estimate_illumination]}"
            ],
            ["scope: plate takes one function", "two functions would write"],
        ),
        ([_rate("count/cell_counts"), COUNT], ["step 'count' comes after it; put it before"]),
        (
            [COUNT, _rate("count/counts")],
            ["no step gives the table counts.csv as 'count'; tables before it: count/cell_counts"],
        ),
        ([LIGHT, _rate("light/illumination")], ["no step before it gives one"]),
        (
            [EVEN, LIGHT],
            [
                "comes from no function before it; openhcs:estimate_illumination of step 'light' "
                "gives it, but later"
            ],
        ),
    ],
)
def test_mistakes_are_named_before_any_job(compiled, steps, texts):
    with pytest.raises(ErrorGroup) as caught:
        compiled(*steps)
    assert len(caught.value.members) == len(texts)
    for error, text in zip(caught.value.members, texts, strict=True):
        assert text in str(error)
        assert "pipeline.yaml:" in error.__notes__[0]


def test_wells_cannot_have_parameters_of_their_own(compiled):
    override = "overrides:\n  - {wells: [A01], set: {light: {sigma: 3}}}\n"
    with pytest.raises(ErrorGroup) as caught:
        compiled(LIGHT, EVEN, more=override)
    (error,) = caught.value.members
    assert "override of step 'light', which does all wells in one job" in str(error)
