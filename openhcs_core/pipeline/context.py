"""What is compiled for one well: filled by the compiler's phases, then frozen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from openhcs_core.errors import FrozenContextError

if TYPE_CHECKING:
    from openhcs_core.config import WorkflowConfig
    from openhcs_core.storage import FileManager


class Planned(Protocol):
    """What the compiler has planned so far for a context's steps."""

    def step_plans(self, well_id: str) -> dict[int, dict[str, Any]]:
        """Return the step plans of a well, as plain data, by the steps' numbers from 0."""


class ProcessingContext:
    """One well on its way through the compiler.

    Parameters
    ----------
    global_config : WorkflowConfig or None
        Settings of the whole run.
    well_id : str
        The well, e.g. ``B02``.
    filemanager : FileManager or None
        The storage that its steps are to use; compiling reads and writes nothing.

    Attributes
    ----------
    required_visualizers : sequence of str
        Names of the steps whose images are to be shown while they run.

    Notes
    -----
    After :meth:`freeze` whoever sets an attribute gets a `FrozenContextError`. Step plans are
    read-only from the start, all the way down: only a phase of the compiler replaces them.
    """

    global_config: "WorkflowConfig | None"
    well_id: str
    filemanager: "FileManager | None"
    required_visualizers: Sequence[str]
    _planned: Planned | None
    _step_plans: "_ReadOnlyDict"

    def __init__(
        self,
        global_config: "WorkflowConfig | None",
        well_id: str,
        filemanager: "FileManager | None" = None,
    ) -> None:
        self._is_frozen = False
        self.global_config = global_config
        self.well_id = well_id
        self.filemanager = filemanager
        self.required_visualizers = ()
        self._planned = None
        self._step_plans = _ReadOnlyDict({}, "step_plans")

    @property
    def step_plans(self) -> dict[int, dict[str, Any]]:
        """The plan of each step by its number from 0, under the specification's keys."""
        return self._step_plans

    @property
    def planned(self) -> Planned | None:
        """What the step plans were made of; None before the first phase."""
        return self._planned

    def replace_plans(self, planned: Planned) -> None:
        """Take over what a phase of the compiler has planned.

        Raises
        ------
        FrozenContextError
            The context is frozen.
        """
        self.refuse_if_frozen("step_plans")
        self._planned = planned
        self._step_plans = _ReadOnlyDict(planned.step_plans(self.well_id), "step_plans")

    def freeze(self) -> None:
        """Make the context immutable, for good."""
        if not self._is_frozen:
            self.required_visualizers = tuple(self.required_visualizers)
            self._is_frozen = True

    def is_frozen(self) -> bool:
        """Return whether :meth:`freeze` has been called."""
        return self._is_frozen

    def refuse_if_frozen(self, name: str) -> None:
        """Raise `FrozenContextError`, which says that `name` cannot be set, if frozen."""
        if self._is_frozen:
            raise FrozenContextError(
                f"the context of well {self.well_id!r} is frozen: {name!r} cannot be changed; "
                "make a new ProcessingContext and compile that"
            )

    def __setattr__(self, name: str, value: object) -> None:
        if "_is_frozen" in vars(self):
            self.refuse_if_frozen(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self.refuse_if_frozen(name)
        super().__delattr__(name)


class _ReadOnly:
    """Refuses changes; `where` names it in messages."""

    where: str

    def refuse(self, *_values: object, **_options: object) -> NoReturn:
        raise FrozenContextError(_message(self.where))

    def refuse_item(self, key: object, *_values: object) -> NoReturn:
        raise FrozenContextError(_message(f"{self.where}[{key!r}]"))


class _ReadOnlyDict(_ReadOnly, dict[Any, Any]):
    """A dict, in all but this: it and what is in it cannot be changed."""

    def __init__(self, items: dict[Any, Any], where: str) -> None:
        super().__init__(
            {key: _read_only(value, f"{where}[{key!r}]") for key, value in items.items()}
        )
        self.where = where

    __setitem__ = __delitem__ = _ReadOnly.refuse_item
    __ior__ = clear = pop = popitem = setdefault = update = _ReadOnly.refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self), self.where)


class _ReadOnlyList(_ReadOnly, list[Any]):
    """A list, in all but this: it and what is in it cannot be changed."""

    def __init__(self, items: list[Any], where: str) -> None:
        super().__init__(
            [_read_only(item, f"{where}[{number}]") for number, item in enumerate(items)]
        )
        self.where = where

    __setitem__ = __delitem__ = _ReadOnly.refuse_item
    __iadd__ = __imul__ = append = clear = extend = insert = pop = remove = reverse = sort = (
        _ReadOnly.refuse
    )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (list(self), self.where)


def _read_only(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return _ReadOnlyDict(value, where)
    return _ReadOnlyList(value, where) if isinstance(value, list) else value


def _message(where: str) -> str:
    return (
        f"{where} cannot be changed: the compiler's phases make step plans; "
        "change the steps and compile them again"
    )
