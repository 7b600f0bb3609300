"""Declared types of special values that do not agree are mistakes before any job."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from openhcs_core.compiler import CompileRequest, compile_plate
from openhcs_core.compiler.written_types import refusals
from openhcs_core.config import PipelineConfig, VFSConfig, load_yaml, validate
from openhcs_core.constants import MemoryType
from openhcs_core.errors import ErrorGroup, StepFunctionError
from openhcs_core.materialization import (
    CsvOptions,
    Entry,
    JsonOptions,
    MaterializationSpec,
    ROIOptions,
    TextOptions,
    TiffOptions,
    materialize,
)
from openhcs_core.microscopes import get_handler
from openhcs_core.pipeline import ProcessingContract, special_inputs, special_outputs
from openhcs_core.pipeline.travel import travels
from openhcs_core.pipeline.type_hints import (
    describe_hint,
    special_input_types,
    special_output_types,
)
from openhcs_core.plan import SpecialOutputPlan
from openhcs_core.planes import PlaneKey
from openhcs_core.registry import FunctionMetadata
from openhcs_core.runtime.special_io import encode_values

PLATE = Path(__file__).parents[3] / "data/demo/9987_Plate_3434"


def _metadata(function, name, **more):
    """Describe a function as a registry does, by way of its JSON."""
    metadata = FunctionMetadata(
        ref=f"mine:{name}",
        module="mine",
        attribute=name,
        input_memory_type=MemoryType.NUMPY,
        output_memory_type=MemoryType.NUMPY,
        special_inputs=getattr(function, "special_inputs", ()),
        special_outputs=tuple(
            SpecialOutputPlan(name=output.name, spec=output.spec)
            for output in getattr(function, "special_outputs", ())
        ),
        special_input_types=special_input_types(function),
        special_output_types=special_output_types(function),
        **more,
    )
    return FunctionMetadata.model_validate_json(metadata.model_dump_json())


def _giver(hint, spec=None, name="find", **more):
    @special_outputs("positions" if spec is None else ("positions", spec))
    def find(image_stack):
        return image_stack, None

    if hint is not ...:
        find.__annotations__["return"] = tuple[np.ndarray, hint]
    return _metadata(find, name, **more)


def _taker(hint):
    @special_inputs("positions")
    def stitch(image_stack, positions):
        return image_stack

    if hint is not ...:
        stitch.__annotations__["positions"] = hint
    return _metadata(stitch, "stitch")


@pytest.fixture(scope="module")
def index():
    return get_handler("imagexpress", PLATE).index(PLATE)


@pytest.fixture
def problems(tmp_path, index):
    def find(functions, *steps):
        class Catalogue:
            def find(self, ref):
                return {function.ref: function for function in functions}[ref]

        path = tmp_path / "pipeline.yaml"
        path.write_text("\n".join(["steps:", *(f"  - {{{step}}}" for step in steps)]))
        document = load_yaml(path)
        request = CompileRequest(
            plate="demo",
            index=index,
            wells=index.wells,
            pipeline=validate(PipelineConfig, document),
            document=document,
            storage=VFSConfig(),
            functions=Catalogue(),
        )
        try:
            compile_plate(request)
        except ErrorGroup as group:
            return [
                (error.__notes__[0].partition("pipeline.yaml:")[2], str(error))
                for error in group.exceptions
            ]
        return []

    return find


STEPS = ("name: x, func: mine:find", "name: y, func: mine:stitch")
SLICE = {"contract": ProcessingContract.PURE_2D}


def test_a_value_that_the_taker_does_not_take_is_named_with_both_types(problems):
    functions = [_giver(pd.DataFrame), _taker(list[tuple[float, float]])]
    problem = (
        "special input 'positions' of mine:stitch takes list[tuple[float, float]], but mine:find "
        "of step '{}' gives DataFrame; correct the type hint that is wrong, or put a function "
        "between them"
    )
    assert problems(functions, *STEPS) == [("3 steps[1].func", "step 'y': " + problem.format("x"))]
    assert problems(functions, "name: z, func: [mine:find, mine:stitch]") == [
        ("2 steps[0].func[1]", "step 'z': " + problem.format("z"))
    ]


@pytest.mark.parametrize(
    ("given_hint", "taken_hint"),
    [
        (list[tuple[float, float]], list[tuple[float, float]]),
        (..., list[int]),
        (int, ...),
        (int | None, float),
        (NDArray[np.float64], np.ndarray),
    ],
)
def test_types_that_agree_or_are_not_known_compile(problems, given_hint, taken_hint):
    assert problems([_giver(given_hint), _taker(taken_hint)], *STEPS) == []


@pytest.mark.parametrize("hint", [list[float], Sequence[int | float], list, object, ...])
def test_where_a_call_gets_a_list_the_hint_is_of_one(problems, hint):
    assert problems([_giver(float, **SLICE), _taker(hint)], *STEPS) == []


def test_a_hint_of_one_value_where_a_call_gets_a_list(problems):
    assert problems([_giver(float, **SLICE), _taker(float)], *STEPS) == [
        (
            "3 steps[1].func",
            "step 'y': special input 'positions' of mine:stitch takes float, but here it gets "
            "list[float]: a call has several images by site, and mine:find of step 'x' gives a "
            "value for each; let both steps stack the same variable_components, or have the "
            "function take list[float]",
        )
    ]
    ((_, message),) = problems([_giver(str, **SLICE), _taker(list[float])], *STEPS)
    assert "takes list[float], but here it gets list[str]" in message


def test_a_hint_of_a_list_where_a_call_gets_one_value(problems):
    ((_, message),) = problems([_giver(float), _taker(list[float])], *STEPS)
    assert "takes list[float], but mine:find of step 'x' gives float; a call gets one" in message


def test_each_group_is_compared_with_its_own_giver(problems):
    functions = [_giver(float), _giver(str, name="find2"), _taker(float)]
    ((where, message),) = problems(
        functions,
        "name: x, func: {'1': mine:find, '2': mine:find2}, passthrough: ['3']",
        "name: y, func: {'2': mine:stitch, '1': mine:stitch}, passthrough: ['3']",
    )
    assert where == "3 steps[1].func.2"
    assert "but mine:find2 of step 'x' gives str" in message


def test_what_cannot_travel_is_a_mistake_only_between_steps(problems):
    functions = [_giver(set[int]), _taker(set[int])]
    ((where, message),) = problems(functions, *STEPS)
    assert where == "2 steps[0].func"
    assert message.startswith(
        "step 'x': special output 'positions' of mine:find is declared set[int], which cannot "
        "travel to a later step; what travels: None, bool, int"
    )
    assert problems(functions, "name: z, func: [mine:find, mine:stitch]") == []


@pytest.mark.parametrize(
    ("hint", "options", "message"),
    [
        (int, ROIOptions(), "int, which ROIOptions do not write; they take a label image, or a"),
        (list[float], ROIOptions(), "list[float], which ROIOptions do not write"),
        (pd.DataFrame, TiffOptions(), "DataFrame, which TiffOptions do not write; they take an "),
        (list[np.ndarray], TiffOptions(), "list[ndarray], which TiffOptions do not write"),
        (float | None, CsvOptions(), "float | None, which CsvOptions do not write; they take a "),
        (list[int], CsvOptions(), "list[int], which CsvOptions do not write"),
        (NDArray[np.float64], CsvOptions(), "NDArray[float64], which CsvOptions do not write"),
        (bytes, JsonOptions(), "bytes, which JsonOptions do not write"),
        (dict[str, int], TextOptions(), "dict[str, int], which TextOptions do not write"),
        (int, JsonOptions(source="a"), "int, of which JsonOptions(source='a') has no part; a dict"),
        (dict[str, int], CsvOptions(), None),
        (list[dict[str, int]], CsvOptions(), None),
        (list[Path], CsvOptions(), None),
        (list, CsvOptions(), None),
        (np.ndarray, CsvOptions(), None),
        (int | pd.DataFrame, CsvOptions(), None),
        (pd.DataFrame, JsonOptions(), None),
        (dict[str, int], JsonOptions(source="a"), None),
        (NDArray[np.int32], ROIOptions(), None),
        (list[list[tuple[float, float]]], ROIOptions(), None),
        (Path, TiffOptions(), None),
        (..., TiffOptions(), None),
        (list[str], TextOptions(), None),
    ],
)  # fmt: skip
def test_what_a_writer_is_sure_to_refuse_is_said(problems, hint, options, message):
    found = problems([_giver(hint, MaterializationSpec(options))], STEPS[0])
    if message is None:
        assert found == []
    else:
        ((where, text),) = found
        assert where == "2 steps[0].func"
        prefix = "step 'x': special output 'positions' of mine:find is declared "
        assert text.startswith(prefix + message)


IMAGE = np.zeros((4, 5), np.uint8)
VALUES = [
    (int, 3), (bool, True), (float, 1.5), (complex, 1j), (str, "a"), (bytes, b"a"),
    (type(None), None),
    (set[int], {1}), (list[int], [1]), (list[str], ["a"]), (list[list[int]], [[1]]),
    (range, range(2)),
    (tuple[int, int], (1, 2)), (dict[str, int], {"a": 1}), (dict[str, list[int]], {"a": [1]}),
    (list[dict[str, int]], [{"a": 1}]), (pd.DataFrame, pd.DataFrame({"a": [1]})),
    (np.ndarray, IMAGE),
    (NDArray[np.uint8], IMAGE), (np.float64, np.float64(1)), (np.int32, np.int32(1)),
    (NDArray[np.void], np.zeros(2, [("a", int)])), (list[np.ndarray], [np.zeros((3, 2))]),
    (list[set[int]], [{1}]), (list[pd.DataFrame], [pd.DataFrame({"a": [1]})]), (Path, Path("a")),
    (OrderedDict[str, int], OrderedDict(a=1)), (dict[str, set[int]], {"a": {1}}),
    (NDArray[np.object_], np.array([None])), (pd.Series, pd.Series([1])), (Sequence[int], [1]),
]  # fmt: skip
OPTIONS = [CsvOptions, JsonOptions, ROIOptions, TiffOptions, TextOptions]
KEYS = (PlaneKey("B02", 1, "1", 1, 1),)


@pytest.mark.parametrize("options", [*OPTIONS, lambda: JsonOptions(source="a")])
@pytest.mark.parametrize(("hint", "value"), VALUES, ids=lambda case: str(case)[:30])
def test_a_type_is_refused_only_if_its_values_are(options, hint, value):
    output = SpecialOutputPlan(name="x", spec=MaterializationSpec(options()))
    if list(refusals(output, describe_hint(hint))):
        with pytest.raises(StepFunctionError):
            materialize(options(), [Entry(KEYS, value)])


@pytest.mark.parametrize(("hint", "value"), VALUES, ids=lambda case: str(case)[:30])
def test_a_type_cannot_travel_only_if_its_values_cannot(hint, value):
    if travels(describe_hint(hint)):
        encode_values([(KEYS, value)], "x")
    else:
        with pytest.raises(StepFunctionError):
            encode_values([(KEYS, value)], "x")
