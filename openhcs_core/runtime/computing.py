"""The functions of one step on one well: a stack of planes after the other."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from openhcs_core.errors import InputDataError
from openhcs_core.memory import get_framework
from openhcs_core.plan import WHOLE_STEP, GroupPlan, StepPlan, TilePlan, plan_digest
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.cache import ImageCache
from openhcs_core.runtime.calls import (
    ChainResult,
    FunctionLoader,
    SpecialValue,
    cast_planes,
    run_chain,
)
from openhcs_core.runtime.groups import group_planes
from openhcs_core.runtime.inputs import WellInput
from openhcs_core.runtime.manifest import StackRecord
from openhcs_core.runtime.means import Means, libraries_of
from openhcs_core.runtime.outputs import Labels, collect_labels, make_files
from openhcs_core.runtime.set_aside import SetAside
from openhcs_core.runtime.special_inputs import SpecialInputs
from openhcs_core.runtime.tiles import are_alike, run_in_tiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Computed:
    """What the functions gave for one well."""

    images: tuple[StackRecord, ...]
    files: dict[str, bytes]
    labels: Labels


@dataclass(frozen=True)
class StackWork:
    """What stacks of one step and well go through.

    Attributes
    ----------
    source, specials : WellInput, SpecialInputs
        What is read.
    sink : ImageCache
        Where images go.
    aside : SetAside
        Where other values are until the last stack is done.
    load : callable
        Gives the function of a reference.
    means : Means
        The job's devices, and what may be done when memory runs out.
    tiles : mapping of str to TilePlan
        Groups whose slices are worked on in parts.
    """

    plan: StepPlan
    well: str
    source: WellInput
    specials: SpecialInputs
    sink: ImageCache
    aside: SetAside
    load: FunctionLoader
    means: Means
    tiles: Mapping[str, TilePlan] = field(default_factory=dict)

    def compute(self) -> Computed:
        """Run every stack through its chain; return all that the step gives."""
        values: dict[str | None, list[SpecialValue]] = {
            group.value: [] for group in self.plan.groups
        }
        images = []
        for stack in self._stacks():
            group = self._choose_group(stack[0])
            record, specials = self._run_stack(group, stack)
            images.append(record)
            values[group.value] += specials
        labels = collect_labels((value for found in values.values() for value in found), self._who)
        return Computed(tuple(images), make_files(self.plan, self.well, values), labels)

    def compute_images(self, planes: Collection[PlaneKey] = ()) -> None:
        """Compute images into the sink, and nothing else.

        Parameters
        ----------
        planes : collection of PlaneKey
            All that is needed, unless empty: where they just pass through, nothing else is done.
        """
        has_functions = any(self._choose_group(key).functions for key in planes)
        for stack in self._stacks(() if has_functions else planes):
            self._run_stack(self._choose_group(stack[0]), stack)

    @property
    def _who(self) -> str:
        return f"step {self.plan.step_name!r}, well {self.well}"

    @cached_property
    def _digest(self) -> str:
        return plan_digest(self.plan)

    def _stacks(self, only: Collection[PlaneKey] = ()) -> Iterator[list[PlaneKey]]:
        """Yield the stacks; unless empty, those alone that have one of these planes."""
        for function in self.plan.functions:
            for kind in libraries_of(function):
                get_framework(kind).prepare()  # before a user module loads another library
        stacks = group_planes(self.source.keys, self.plan.variable_components)
        stacks = [keys for keys in stacks if not only or not set(only).isdisjoint(keys)]
        for number, keys in enumerate(stacks, start=1):
            place = f"stack {number} of {len(stacks)}"
            logger.info("well %s, %s: %s", self.well, place, keys[0].filename)
            yield keys

    def _run_stack(
        self, group: GroupPlan, keys: Sequence[PlaneKey]
    ) -> tuple[StackRecord, list[SpecialValue]]:
        """Run one stack and store its images; nothing of it is in memory afterwards."""
        planes = self.source.load(keys)
        tile = self.tiles.get(group.value or WHOLE_STEP)
        if tile is not None and are_alike(planes):
            return self._run_in_tiles(planes, keys, group, tile), []
        made, result = self._run_chain(planes, keys, group, may_take=self.source.gives_own_arrays)
        del planes
        record = self.sink.put(made, result.keys, is_passing=not group.functions)
        return record, [self.aside.keep(special) for special in result.specials]

    def _run_chain(
        self,
        planes: "Sequence[NDArray[Any]]",
        keys: Sequence[PlaneKey],
        group: GroupPlan,
        *,
        may_take: bool = False,
    ) -> "tuple[list[NDArray[Any]], ChainResult]":
        """Return planes as they are stored, and all that the chain gave."""
        result = run_chain(
            planes,
            keys,
            group.functions,
            self.load,
            self._who,
            self.plan.projected_to,
            self.specials,
            self._digest,
            may_take=may_take,
            means=self.means,
        )
        return cast_planes(result.planes, self.plan.output_dtype, self._who), result

    def _run_in_tiles(
        self,
        planes: "Sequence[NDArray[Any]]",
        keys: Sequence[PlaneKey],
        group: GroupPlan,
        tile: TilePlan,
    ) -> StackRecord:
        """Run one stack, a part of its slices at a time, and store its images."""
        logger.info("in parts of %d px", tile.side_px)
        made_of: tuple[PlaneKey, ...] = ()

        def run(part: "Sequence[NDArray[Any]]") -> "Sequence[NDArray[Any]]":
            nonlocal made_of
            made, result = self._run_chain(part, keys, group)
            made_of = result.keys
            return made

        whole = run_in_tiles(planes, tile, run, self._who)
        return self.sink.put(whole, made_of)

    def _choose_group(self, key: PlaneKey) -> GroupPlan:
        value = str(getattr(key, self.plan.group_by.value))
        for group in self.plan.groups:
            if group.value in (None, value):
                return group
        raise InputDataError(
            f"{self._who}: {self.plan.group_by} {value!r} has no function; "
            "the plate changed since it was compiled, run snakemake again"
        )
