"""Wells against their controls: normalised values, and the Z' of a plate."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from openhcs_core.materialization import CsvOptions, MaterializationSpec
from openhcs_core.memory.decorators import numpy
from openhcs_core.pipeline.function_contracts import plate_function, special_outputs

if TYPE_CHECKING:
    import pandas as pd

OBJECTS = "objects"
"""The column that stands for how many rows a well has."""
_MAD_TO_SD = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""

_Robust = Annotated[bool, Field(description="Medians and their deviations, for outliers")]
_Columns = Annotated[
    list[str],
    Field(min_length=1, description="Columns of the table; objects is the number of rows"),
]
_Aggregate = Annotated[
    Literal["mean", "median", "sum", "min", "max"],
    Field(description="How the rows of a well become one value"),
]
_By = Annotated[tuple[str, ...], Field(description="What a well's values are kept apart by")]
_Method = Annotated[
    Literal["percent_of_control", "percent_effect", "z_score", "robust_z_score"],
    Field(description="percent_effect is 0 at the negative and 100 at the positive controls"),
]
_Reference = Annotated[
    Literal["negative", "positive"], Field(description="The controls that values are compared with")
]
_ControlColumn = Annotated[str, Field(description="Column of the plate map")]
_Label = Annotated[str, Field(description="What stands there for such a control")]


@numpy
@plate_function(tables=("table",))
@special_outputs(("normalized", MaterializationSpec(CsvOptions())))
def normalize_to_controls(
    table: Any,
    *,
    columns: _Columns,
    method: _Method = "percent_of_control",
    reference: _Reference = "negative",
    aggregate: _Aggregate = "mean",
    by: _By = ("channel", "timepoint"),
    control_column: _ControlColumn = "control",
    negative: _Label = "negative",
    positive: _Label = "positive",
) -> Any:
    """Compare every well with the plate's controls.

    A well's rows become one value for each column, channel and time point; that is compared
    with the same of the wells that the plate map names controls (Malo et al., Nature
    Biotechnology 24:167, 2006; for the robust z-score Birmingham et al., Nature Methods 6:569,
    2009). With x a well's value, and mean, sd, median over the wells of `reference`:

    - ``percent_of_control``: 100 x / mean
    - ``percent_effect``: 100 (x - mean of negative) / (mean of positive - mean of negative)
    - ``z_score``: (x - mean) / sd, with n - 1 in sd
    - ``robust_z_score``: (x - median) / (1.4826 median absolute deviation)

    Parameters
    ----------
    table : pandas.DataFrame
        A plate table, the plate map joined.
    columns : list of str
        What to normalise. ``objects`` is the number of rows: 0 in a well where nothing was found.
    method, reference, aggregate
        See above.
    by : list of str
        Columns that tell a well's values apart.
    control_column, negative, positive : str
        Where the plate map says what a well is, and how.

    Returns
    -------
    normalized : pandas.DataFrame
        A row a well and value of `by`, in the order of the plate: these, the rest of the plate
        map, and for each of `columns` the well's value and ``<column>_<method>``. Where a well
        has no value (no object has an area), both are missing; such a control does not count.

    Raises
    ------
    ValueError
        No such column, no control of a kind that is needed, fewer than two of them or no spread
        where it is divided by.
    """
    wells = _wells(table, columns, by, aggregate, control_column)
    labels = wells[control_column]
    for column in columns:
        scores = wells[column].astype("float64").copy()
        for _, members in _parts(wells, by):
            values = members[column]
            controls = {
                "negative": values[labels == negative].dropna(),
                "positive": values[labels == positive].dropna(),
            }
            names = {"negative": negative, "positive": positive}
            scores[members.index] = _score(
                values, controls, method, reference, f"{column}: {control_column} ", names
            )
        wells[f"{column}_{method}"] = scores
    return wells


@numpy
@plate_function(tables=("table",))
@special_outputs(("z_prime", MaterializationSpec(CsvOptions())))
def z_prime(
    table: Any,
    *,
    columns: _Columns,
    robust: _Robust = False,
    aggregate: _Aggregate = "mean",
    by: _By = ("channel", "timepoint"),
    control_column: _ControlColumn = "control",
    negative: _Label = "negative",
    positive: _Label = "positive",
) -> Any:
    """Rate how well a plate's controls are apart: Z' of each column.

    Z' = 1 - 3 (sd of positive + sd of negative) / abs(mean of positive - mean of negative), with
    n - 1 in sd (Zhang, Chung and Oldenburg, Journal of Biomolecular Screening 4:67, 1999). Over
    0.5 is an excellent assay, 1 the most there can be.

    Parameters
    ----------
    table : pandas.DataFrame
        A plate table, the plate map joined.
    columns : list of str
        What to rate. ``objects`` is the number of rows.
    robust : bool
        Medians instead of means, 1.4826 median absolute deviations instead of sd.
    aggregate, by, control_column, negative, positive
        As for ``normalize_to_controls``.

    Returns
    -------
    z_prime : pandas.DataFrame
        A row a value of `by` and column: ``column``, ``z_prime``, and wells, centre and spread
        of both kinds of controls. Empty where the centres are the same.

    Raises
    ------
    ValueError
        No such column, or fewer than two controls of a kind.
    """
    import pandas as pd

    wells = _wells(table, columns, by, aggregate, control_column)
    rows = []
    for value, members in _parts(wells, by):
        for column in columns:
            row: dict[str, Any] = dict(zip(by, value, strict=True))
            row |= {"column": column, "z_prime": float("nan")}
            for kind, label in (("negative", negative), ("positive", positive)):
                of = members.loc[members[control_column] == label, column].dropna()
                _check_count(of, 2, f"z_prime: {column}: {control_column} ", label)
                row[f"{kind}_wells"] = len(of)
                row[f"{kind}_centre"], row[f"{kind}_spread"] = _centre_and_spread(
                    of, is_robust=robust
                )
            apart = abs(row["positive_centre"] - row["negative_centre"])
            if apart > 0:
                spread = row["positive_spread"] + row["negative_spread"]
                row["z_prime"] = 1 - 3 * spread / apart
            rows.append(row)
    return pd.DataFrame(rows)


def _parts(
    wells: "pd.DataFrame", by: Sequence[str]
) -> "Iterator[tuple[tuple[Any, ...], pd.DataFrame]]":
    """Yield the rows of each value of `by`, and the value."""
    if not by:
        yield (), wells
        return
    for value, members in wells.groupby(list(by), sort=False):
        assert isinstance(value, tuple)
        yield value, members


def _wells(
    table: "pd.DataFrame",
    columns: Sequence[str],
    by: Sequence[str],
    aggregate: str,
    control_column: str,
) -> "pd.DataFrame":
    """Return one value a well, with the plate map."""
    import pandas as pd

    _check_columns(table, columns, by)
    keys = ["well", *by]
    # what was looked at, also where nothing was found, in the order of the plate
    looked_at = [tuple(image[key] for key in keys) for image in table.attrs["images"]]
    looked_at += list(table[keys].itertuples(index=False, name=None))
    images = pd.DataFrame(list(dict.fromkeys(looked_at)), columns=keys)
    groups = table.groupby(keys, sort=False)
    plate_map = _plate_map(table, columns, keys)
    if control_column not in plate_map:
        raise ValueError(
            f"the plate map has no column {control_column!r}; it has "
            f"{', '.join(plate_map.columns) or 'none'}: name the one that says what is a control "
            "in control_column"
        )
    wells = images.join(plate_map, on="well")
    for column in columns:
        is_count = column == OBJECTS and OBJECTS not in table
        values = groups.size() if is_count else groups[column].agg(aggregate)
        wells = wells.join(values.rename(column), on=keys)
        if is_count:
            wells[column] = wells[column].fillna(0).astype("int64")
    return wells


def _check_columns(table: "pd.DataFrame", columns: Sequence[str], by: Sequence[str]) -> None:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    known = [*table.columns, *({OBJECTS} - set(table.columns))]
    for name in ("well", *by, *columns):
        if name not in known:
            raise ValueError(f"the table has no column {name!r}; it has {', '.join(known)}")
    for name in columns:
        is_number = name not in table or (
            is_numeric_dtype(table[name]) and not is_bool_dtype(table[name])
        )
        if not is_number and len(table):
            raise ValueError(f"column {name!r} of the table has text; expected numbers")


def _plate_map(
    table: "pd.DataFrame", columns: Sequence[str], keys: Sequence[str]
) -> "pd.DataFrame":
    """Return the plate map by well: as it is, or what a table of wells has of it."""
    import pandas as pd

    wells = table.attrs["wells"]
    if wells:
        rows = [{**of, "well": well} for well, of in wells.items()]
        return pd.DataFrame(rows).set_index("well")
    rest = [name for name in table.columns if name not in {*columns, *keys}]
    return table[["well", *rest]].drop_duplicates("well").set_index("well")


def _score(
    values: "pd.Series[Any]",
    controls: "dict[str, pd.Series[Any]]",
    method: str,
    reference: str,
    who: str,
    names: dict[str, str],
) -> "pd.Series[Any]":
    """Return one column's values of one group, compared with its controls."""
    who = f"normalize_to_controls: {who}"
    chosen = controls[reference]
    if method == "percent_of_control":
        _check_count(chosen, 1, who, names[reference])
        return 100 * values / _divisor(float(chosen.mean()), f"{who}mean of {names[reference]}")
    if method == "percent_effect":
        for kind, of in controls.items():
            _check_count(of, 1, who, names[kind])
        low, high = float(controls["negative"].mean()), float(controls["positive"].mean())
        return 100 * (values - low) / _divisor(high - low, f"{who}means' difference")
    _check_count(chosen, 2, who, names[reference])
    centre, spread = _centre_and_spread(chosen, is_robust=method == "robust_z_score")
    return (values - centre) / _divisor(spread, f"{who}spread of {names[reference]}")


def _centre_and_spread(values: "pd.Series[Any]", *, is_robust: bool) -> tuple[float, float]:
    if not is_robust:
        return float(values.mean()), float(values.std(ddof=1))
    centre = float(values.median())
    return centre, _MAD_TO_SD * float((values - centre).abs().median())


def _check_count(values: "pd.Series[Any]", least: int, who: str, label: str) -> None:
    if len(values) < least:
        raise ValueError(
            f"{who}{label!r} is what {len(values)} wells with a value are; at least {least} needed"
        )


def _divisor(number: float, what: str) -> float:
    if number == 0:
        raise ValueError(f"{what} is 0, which nothing can be divided by")
    return number
