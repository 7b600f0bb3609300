"""Tables by pandas: CSV, TSV and Parquet."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage.backends.text_ import read_bytes, read_text, write_text
from openhcs_core.storage.host_arrays import wrong_data

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_INSTALL_PYARROW = "Parquet needs pyarrow: pip install 'openhcs-core[parquet]', or save a CSV"


def read_csv(path: Path, *, as_table: bool = False) -> "str | pd.DataFrame":
    """Return a CSV or TSV file as text, or as a DataFrame.

    Parameters
    ----------
    path : Path
        Its ending says which separator there is.
    as_table : bool
        Return a DataFrame: numbers to the last bit, only empty cells are missing values (a
        treatment may be called ``NA``).

    Raises
    ------
    InputDataError
        It is missing, no text in UTF-8, or no table.
    """
    text = read_text(path)
    if not as_table:
        return text
    from io import StringIO

    import pandas as pd

    try:
        return pd.read_csv(
            StringIO(text),
            sep=_SEPARATORS[path.suffix.lower()],
            float_precision="round_trip",
            keep_default_na=False,
            na_values=[""],
        )
    except ValueError as error:  # pandas' own errors of parsing are
        raise InputDataError(f"{path}: expected a table, found {error}; make it again") from error


def write_csv(stream: BinaryIO, data: Any, path: Path) -> None:
    """Write a text as it is, or a DataFrame with a header and without its row numbers."""
    if isinstance(data, str):
        write_text(stream, data, path)
        return
    table = _require_table(data, path, "text or a DataFrame")
    import pandas as pd

    if not isinstance(table.index, pd.RangeIndex):
        raise StorageResolutionError(
            f"{path}: the table's index would be lost; reset_index() makes a column of it, "
            "reset_index(drop=True) drops it"
        )
    text = table.to_csv(sep=_SEPARATORS[path.suffix.lower()], index=False, lineterminator="\n")
    stream.write(text.encode("utf-8"))


def read_parquet(path: Path) -> "pd.DataFrame":
    """Return a Parquet file's table with the dtypes and index it was saved with.

    Raises
    ------
    InputDataError
        It is missing or no Parquet file.
    StorageResolutionError
        pyarrow is not installed.
    """
    from io import BytesIO

    content = read_bytes(path)
    _require_pyarrow(path)
    import pandas as pd
    from pyarrow.lib import ArrowException

    try:
        return pd.read_parquet(BytesIO(content), engine="pyarrow")
    except (ArrowException, OSError, ValueError) as error:
        raise InputDataError(
            f"{path}: expected a Parquet file, found another or a truncated one ({error}); "
            "make it again"
        ) from error


def write_parquet(stream: BinaryIO, data: Any, path: Path) -> None:
    """Write a DataFrame with its dtypes and index."""
    table = _require_table(data, path, "a DataFrame")
    _require_pyarrow(path)
    from pyarrow.lib import ArrowException

    try:
        table.to_parquet(stream, engine="pyarrow")
    except (ArrowException, ValueError) as error:
        raise StorageResolutionError(
            f"{path}: expected a table that Parquet can hold, found {error}"
        ) from error


def _require_table(data: Any, path: Path, expected: str) -> "pd.DataFrame":
    import pandas as pd

    if not isinstance(data, pd.DataFrame):
        raise wrong_data(path, expected, data)
    return data


def _require_pyarrow(path: Path) -> None:
    try:
        import pyarrow as pa  # noqa: F401
    except ImportError as error:
        raise StorageResolutionError(f"{path}: {_INSTALL_PYARROW}") from error
