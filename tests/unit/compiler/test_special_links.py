"""Special inputs in plans: where each comes from, and what is said when that is not clear."""

from pathlib import Path

import pytest

from openhcs_core.compiler import CompileRequest, compile_plate
from openhcs_core.config import PipelineConfig, VFSConfig, load_yaml, validate
from openhcs_core.constants import MemoryType
from openhcs_core.errors import CompileError, ErrorGroup
from openhcs_core.microscopes import get_handler
from openhcs_core.pipeline import ProcessingContract, chain_breaker, special_inputs
from openhcs_core.plan import SpecialOutputPlan
from openhcs_core.registry import FunctionMetadata

PLATE = Path(__file__).parents[3] / "data/demo/9987_Plate_3434"


def _function(name, *, takes=(), gives=(), **more):
    return FunctionMetadata(
        ref=f"t:{name}",
        module="t",
        attribute=name,
        input_memory_type=MemoryType.NUMPY,
        output_memory_type=MemoryType.NUMPY,
        special_inputs=takes,
        special_outputs=tuple(SpecialOutputPlan(name=output) for output in gives),
        **more,
    )


FUNCTIONS = [
    _function("find", gives=("positions", "quality")),
    _function("find2", gives=("positions",)),
    _function("find_slice", gives=("positions",), contract=ProcessingContract.PURE_2D),
    _function("stitch", takes=("positions",)),
    _function("refine", takes=("positions",), gives=("positions",)),
    _function("position", takes=("position",)),
    _function("same"),
    _function("flat", contract=ProcessingContract.VOLUMETRIC_TO_SLICE),
    _function("breaks", gives=("positions",), chain_breaker=True),
]


class _Catalogue:
    def find(self, ref):
        return {function.ref: function for function in FUNCTIONS}[ref]


@pytest.fixture(scope="module")
def index():
    return get_handler("imagexpress", PLATE).index(PLATE)


@pytest.fixture
def compile_steps(tmp_path, index):
    def compile_(*steps):
        path = tmp_path / "pipeline.yaml"
        path.write_text("\n".join(["steps:", *(f"  - {{{step}}}" for step in steps)]))
        document = load_yaml(path)
        return compile_plate(
            CompileRequest(
                plate="demo",
                index=index,
                wells=index.wells,
                pipeline=validate(PipelineConfig, document),
                document=document,
                storage=VFSConfig(),
                functions=_Catalogue(),
            )
        ).steps

    return compile_


@pytest.fixture
def problems(compile_steps):
    def find(*steps):
        with pytest.raises(ErrorGroup) as caught:
            compile_steps(*steps)
        return [
            (error.__notes__[0].partition("pipeline.yaml:")[2], str(error))
            for error in caught.value.exceptions
        ]

    return find


def _inputs(plan, group=0, number=-1):
    return plan.groups[group].functions[number].special_inputs


def _linked(plan):
    return [
        output.name
        for group in plan.groups
        for function in group.functions
        for output in function.special_outputs
        if output.is_linked
    ]


STITCH = "step 'stitch': special input 'positions' of t:stitch comes from "


def test_any_earlier_step_may_give_it_and_only_what_is_taken_is_marked(compile_steps):
    find, _, stitch, again = compile_steps(
        "name: find, func: t:find",
        "name: same, func: t:same",
        "name: stitch, func: t:stitch, input_source: pipeline_start",
        "name: again, func: t:stitch",
    )
    assert [special.step for plan in (stitch, again) for special in _inputs(plan)] == ["find"] * 2
    assert _linked(find) == ["positions"]
    assert stitch.source is None


def test_within_a_chain_nothing_is_written(compile_steps):
    (plan,) = compile_steps("name: s, func: [t:find, t:same, t:stitch]")
    (special,) = _inputs(plan)
    assert (special.step, special.is_list) == (None, False)
    assert _linked(plan) == []
    assert plan.as_dict("B02")["special_inputs"]["positions"]["backend"] == "memory"


def test_a_list_follows_from_the_plan(compile_steps):
    _, stitch = compile_steps(
        "name: find, func: t:find_slice",
        "name: stitch, func: t:stitch, variable_components: [z_index, site]",
    )
    (special,) = _inputs(stitch)
    assert special.each_of_stack == ("z_index", "site")
    assert special.agree_on == ("channel", "timepoint")


def test_what_projections_took_together_is_no_longer_compared(compile_steps):
    _, _, stitch = compile_steps(
        "name: find, func: t:find_slice",
        "name: flat, func: t:flat, variable_components: [z_index]",
        "name: stitch, func: t:stitch",
    )
    (special,) = _inputs(stitch)
    assert special.agree_on == ("channel", "timepoint")
    assert (special.each_of_stack, special.each_of_projection) == (("site",), ("z_index",))


def test_groups_are_paired_by_their_values(compile_steps):
    find, stitch = compile_steps(
        "name: find, func: {'1': t:find, '2': t:find2}, passthrough: ['3']",
        "name: stitch, func: {'2': t:stitch, DAPI: t:stitch}, passthrough: ['3']",
    )
    assert [_inputs(stitch, group)[0].group for group in (0, 1)] == ["1", "2"]
    assert _linked(find) == ["positions"] * 2
    taken = stitch.as_dict("B02")["special_inputs"]
    assert taken["1.positions"] == {"path": "special/find/B02.1.positions.zip", "backend": "disk"}


def test_the_only_group_that_gives_it_gives_it_to_all(compile_steps):
    _, stitch = compile_steps(
        "name: find, func: {'1': t:find}, passthrough: ['2', '3']",
        "name: stitch, func: t:stitch",
    )
    (special,) = _inputs(stitch)
    assert special.group == "1"
    assert special.agree_on == ("z_index", "timepoint")


def test_a_chain_breaker_sends_the_next_step_to_the_plate(compile_steps):
    steps = compile_steps(
        "name: a, func: t:same",
        "name: b, func: t:breaks",
        "name: c, func: [t:breaks, t:same]",
        "name: d, func: t:same",
    )
    assert [step.source for step in steps] == [None, "a", None, "c"]


@pytest.mark.parametrize(
    ("steps", "where", "message"),
    [
        (
            ["name: stitch, func: [t:same, t:stitch]"],
            "2 steps[0].func[1]",
            "no function before it; no function before it gives a special output",
        ),
        (
            ["name: find, func: t:find", "name: stitch, func: [t:stitch, t:find2]"],
            None,
            None,
        ),
        (
            ["name: stitch, func: t:stitch", "name: find, func: t:find"],
            "2 steps[0].func",
            "no function before it; t:find of step 'find' gives it, but later; put it before",
        ),
        (
            ["name: stitch, func: [t:stitch, t:find]"],
            "2 steps[0].func[0]",
            "no function before it; t:find of step 'stitch' gives it, but later; put it before",
        ),
        (
            ["name: stitch, func: {'1': t:find, '2': t:stitch}, passthrough: ['3']"],
            "2 steps[0].func.2",
            "no function before it; t:find of step 'stitch' gives it, but to images of another "
            "group",
        ),
        (
            ["name: a, func: t:find", "name: b, func: t:find2", "name: stitch, func: t:stitch"],
            "4 steps[2].func",
            "t:find of step 'a' and t:find2 of step 'b'; leave one out, or name it differently",
        ),
        (
            ["name: a, func: t:find", "name: stitch, func: [t:find2, t:stitch]"],
            "3 steps[1].func[1]",
            "t:find of step 'a' and t:find2 of step 'stitch'; leave one out, or name it "
            "differently",
        ),
        (
            [
                "name: find, func: {'1': t:find, '2': t:find}, passthrough: ['3']",
                "name: stitch, func: t:stitch",
            ],
            "3 steps[1].func",
            "step 'find' for channel 1 and 2; write this step's functions by channel too, so "
            "that each value has its own",
        ),
        (
            [
                "name: find, func: {'1': t:find, '2': t:find}, passthrough: ['3']",
                "name: stitch, func: {'1': t:stitch, '3': t:stitch}, passthrough: ['2']",
            ],
            "3 steps[1].func.3",
            "step 'find' for channel 1 and 2; none for channel 3: give it there too, or take it "
            "out here",
        ),
        (
            [
                "name: find, func: t:find_slice",
                "name: flat, func: {'1': t:flat}, passthrough: ['2', '3'],"
                " variable_components: [z_index]",
                "name: stitch, func: t:stitch",
            ],
            "4 steps[2].func",
            "t:find_slice of step 'find', and step 'flat' projects z_index in some groups only, "
            "so that which images it belongs to cannot be told; project all groups, or none",
        ),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_said(problems, compile_steps, steps, where, message):
    if where is None:
        assert len(compile_steps(*steps)) == len(steps)
    else:
        assert problems(*steps) == [(where, f"{STITCH}{message}")]


def test_near_names_and_other_outputs_are_named(problems):
    assert problems("name: a, func: t:find", "name: b, func: t:position") == [
        (
            "3 steps[1].func",
            "step 'b': special input 'position' of t:position comes from no function before it; "
            "did you mean 'positions' of t:find of step 'a'?",
        )
    ]
    assert problems("name: a, func: t:refine") == [
        (
            "2 steps[0].func",
            "step 'a': special input 'positions' of t:refine comes from no function before it; "
            "only it gives that itself",
        )
    ]


def test_a_special_input_is_no_parameter(problems):
    assert problems("name: a, func: [t:find, {t:stitch: {positions: 1}}]") == [
        (
            "2 steps[0].func[1].t:stitch.positions",
            "step 'a': t:stitch: 'positions' is a special input, which an earlier function "
            "gives; leave it out",
        )
    ]


def test_groups_that_end_in_breakers_and_others_do_not_mix(problems):
    assert problems("name: a, func: {'1': t:breaks, '2': t:same}, passthrough: ['3']") == [
        (
            "2 steps[0].func",
            "step 'a': some of its functions are chain breakers and some are not, so that what "
            "the next step reads is not clear; put them into two steps",
        )
    ]


def test_declarations_are_checked():
    def stitch(image_stack, positions, *, scale=1):
        return image_stack

    assert special_inputs("positions")(stitch).special_inputs == ("positions",)
    assert chain_breaker(stitch).chain_breaker
    for names, message in [
        (("position",), "stitch has no such keyword parameter after the image; it has positions, "),
        (("image_stack",), "has no such keyword parameter after the image"),
        (("positions", "positions"), "'positions' is declared twice"),
    ]:
        with pytest.raises(CompileError, match=message):
            special_inputs(*names)(stitch)
    with pytest.raises(CompileError, match="special input 3: expected the name of a parameter"):
        special_inputs(3)
