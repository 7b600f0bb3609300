"""Wells against controls, compared with numpy alone."""

import numpy as np
import pandas as pd
import pytest

from openhcs_core.functions.controls import normalize_to_controls, z_prime

KINDS = {"negative": ["A01", "A02", "A03"], "positive": ["B01", "B02"], "": ["C01", "C02"]}
WELLS = {well: {"control": kind} for kind, wells in KINDS.items() for well in wells}
EMPTY = "C02"
CHANNELS = ("1", "2")


@pytest.fixture
def areas():
    """Areas of objects by well and channel: one well has none."""
    random = np.random.default_rng(5)
    counts = [3, 5, 9, 14, 12, 6, 0]
    return {
        (well, channel): random.uniform(50, 150, count and count + int(channel) * (well == "A02"))
        for well, count in zip(WELLS, counts, strict=True)
        for channel in CHANNELS
    }


@pytest.fixture
def table(areas):
    rows = [
        {"well": well, "site": 1, "channel": channel, "z_index": 1, "timepoint": 1, "area": area}
        | WELLS[well]
        for (well, channel), found in areas.items()
        for area in found
    ]
    frame = pd.DataFrame(rows)
    frame.attrs["wells"] = WELLS
    frame.attrs["images"] = [
        {"well": well, "site": 1, "channel": channel, "z_index": 1, "timepoint": 1}
        for well, channel in areas
    ]
    return frame


def _values(areas, channel, wells, of=np.mean):
    return np.array([of(areas[well, channel]) for well in wells])


def _mad(values):
    return 1.4826 * np.median(np.abs(values - np.median(values)))


def _expected(method, value, negative, positive):
    return {
        "percent_of_control": lambda: 100 * value / negative.mean(),
        "percent_effect": lambda: (
            100 * (value - negative.mean()) / (positive.mean() - negative.mean())
        ),
        "z_score": lambda: (value - negative.mean()) / negative.std(ddof=1),
        "robust_z_score": lambda: (value - np.median(negative)) / _mad(negative),
    }[method]()


@pytest.mark.parametrize(
    "method", ["percent_of_control", "percent_effect", "z_score", "robust_z_score"]
)
def test_every_method_against_numpy_by_channel(table, areas, method):
    found = normalize_to_controls(table, columns=["area", "objects"], method=method)
    assert list(zip(found["well"], found["channel"], strict=True)) == list(areas)
    for (well, channel), row in zip(areas, found.to_dict("records"), strict=True):
        controls = [
            [_values(areas, channel, KINDS[kind], of) for kind in ("negative", "positive")]
            for of in (np.mean, len)
        ]
        assert row["objects"] == len(areas[well, channel])
        np.testing.assert_allclose(
            row[f"objects_{method}"], _expected(method, row["objects"], *controls[1]), atol=1e-9
        )
        if well == EMPTY:
            assert np.isnan(row["area"])
            assert np.isnan(row[f"area_{method}"])
            continue
        np.testing.assert_allclose(row["area"], areas[well, channel].mean())
        np.testing.assert_allclose(
            row[f"area_{method}"], _expected(method, row["area"], *controls[0]), atol=1e-9
        )


def test_the_order_of_rows_changes_nothing(table):
    shuffled = table.sample(frac=1, random_state=1)
    shuffled.attrs = table.attrs
    given = {"columns": ["area"], "method": "robust_z_score", "aggregate": "median"}
    pd.testing.assert_frame_equal(
        normalize_to_controls(table, **given), normalize_to_controls(shuffled, **given)
    )


@pytest.mark.parametrize("robust", [False, True])
def test_z_prime_against_numpy(table, areas, robust):
    centre = np.median if robust else np.mean
    spread = _mad if robust else lambda values: values.std(ddof=1)
    found = z_prime(table, columns=["area", "objects"], robust=robust).to_dict("records")
    assert [(row["channel"], row["column"]) for row in found] == [
        (channel, column) for channel in CHANNELS for column in ("area", "objects")
    ]
    for row in found:
        of = len if row["column"] == "objects" else np.mean
        low, high = (
            _values(areas, row["channel"], KINDS[kind], of) for kind in ("negative", "positive")
        )
        apart = abs(centre(high) - centre(low))
        expected = 1 - 3 * (spread(high) + spread(low)) / apart if apart else np.nan
        np.testing.assert_allclose(row["z_prime"], expected, equal_nan=True)
        assert (row["negative_wells"], row["positive_wells"]) == (3, 2)


def test_by_hand():
    values = {"A01": 10.0, "A02": 12.0, "A03": 14.0, "B01": 50.0, "B02": 54.0}
    table = pd.DataFrame(
        [{"well": well, "value": value} | WELLS[well] for well, value in values.items()]
    )
    table.attrs.update(wells={}, images=[])
    (row,) = z_prime(table, columns=["value"], by=[]).to_dict("records")
    assert row["z_prime"] == pytest.approx(1 - 3 * (2 + 8**0.5) / 40)
    effects = normalize_to_controls(table, columns=["value"], method="percent_effect", by=[])
    assert effects["value_percent_effect"].tolist() == [-5, 0, 5, 95, 105]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"columns": ["size"]}, "the table has no column 'size'; it has well"),
        ({"columns": ["control"]}, "'control' of the table has text"),
        ({"columns": ["area"], "control_column": "kind"}, "the plate map has no column 'kind'"),
        ({"columns": ["area"], "negative": "dmso"}, "'dmso' is what 0 wells with a value are"),
    ],
)
def test_what_is_missing_is_named(table, parameters, text):
    with pytest.raises(ValueError, match=text):
        normalize_to_controls(table, **parameters)


def test_controls_without_spread_are_refused(table):
    table["area"] = 5.0
    with pytest.raises(ValueError, match="spread of negative is 0"):
        normalize_to_controls(table, columns=["area"], method="z_score")
