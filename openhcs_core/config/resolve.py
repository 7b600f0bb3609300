"""One value for each setting of each step, from all levels that may give it, and its origin.

config (global) → its plate's section → pipeline file → step: the later level wins, key by key.
A level that does not give a key never overrides one that does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from openhcs_core.config.base import FrozenModel, KeyPath
from openhcs_core.config.storage import ImageStorageConfig
from openhcs_core.config.workflow import PipelineConfig, StepConfig, StepSettings, WorkflowConfig
from openhcs_core.config.yaml_ import LocatedDocument

M = TypeVar("M", bound=FrozenModel)


class Level(StrEnum):
    """Where a setting may be given, the weakest first."""

    DEFAULT = "default"
    GLOBAL = "global"
    PLATE = "plate"
    PIPELINE = "pipeline"
    STEP = "step"


@dataclass(frozen=True)
class Origin:
    """The level a value comes from, and its place; nobody gave a default, it has none."""

    level: Level
    where: str = ""


@dataclass(frozen=True)
class SettingsLevel:
    """What one level says for all steps.

    Attributes
    ----------
    level : Level
        Which one.
    document, at : LocatedDocument, KeyPath
        Where its ``defaults`` and ``storage`` stand.
    defaults : StepSettings
        Settings of every step.
    storage : ImageStorageConfig
        How kept images are stored.
    """

    level: Level
    document: LocatedDocument
    at: KeyPath
    defaults: StepSettings
    storage: ImageStorageConfig


@dataclass(frozen=True)
class ResolvedPipeline:
    """A pipeline in which every step has all its settings, and what they come from.

    Attributes
    ----------
    pipeline : PipelineConfig
        Without ``defaults`` and ``storage``: each step has their values.
    storage : ImageStorageConfig
        How kept images are stored.
    document : LocatedDocument
        The pipeline's file; knows the places of values that stand elsewhere.
    origins : mapping of key path to Origin
        Of every setting: ``("steps", 2, "resources", "mem_mb")``, ``("storage", "zarr",
        "compressor")``.
    """

    pipeline: PipelineConfig
    storage: ImageStorageConfig
    document: LocatedDocument
    origins: Mapping[KeyPath, Origin]


def config_levels(
    config: WorkflowConfig, document: LocatedDocument, plate: str
) -> tuple[SettingsLevel, ...]:
    """Return what the config says for all steps of a plate: its global level, then the plate's."""
    own = config.plates[plate]
    return (
        SettingsLevel(Level.GLOBAL, document, (), config.defaults, config.storage),
        SettingsLevel(Level.PLATE, document, ("plates", plate), own.defaults, own.storage),
    )


def plate_settings(config: WorkflowConfig, plate: str) -> tuple[StepSettings, ImageStorageConfig]:
    """Return what a config says for all steps of a plate, and how its kept images are stored."""
    nowhere = LocatedDocument("", None, {})
    levels = config_levels(config, nowhere, plate)
    defaults, _ = _merge(
        StepSettings(), [_Layer(level.defaults, level.level, nowhere, ()) for level in levels]
    )
    storage, _ = _merge(
        ImageStorageConfig(), [_Layer(level.storage, level.level, nowhere, ()) for level in levels]
    )
    return defaults, storage


def resolve_pipeline(
    pipeline: PipelineConfig, document: LocatedDocument, outer: Sequence[SettingsLevel] = ()
) -> ResolvedPipeline:
    """Return a pipeline with the settings of all levels in its steps.

    Parameters
    ----------
    pipeline, document : PipelineConfig, LocatedDocument
        The pipeline as read, and its file.
    outer : sequence of SettingsLevel
        Levels before the pipeline's, the weakest first.
    """
    levels = (
        *outer,
        SettingsLevel(Level.PIPELINE, document, (), pipeline.defaults, pipeline.storage),
    )
    storage, found = _merge(
        ImageStorageConfig(),
        [
            _Layer(level.storage, level.level, level.document, (*level.at, "storage"))
            for level in levels
        ],
    )
    origins: dict[KeyPath, Origin] = {("storage", *path): origin for path, origin in found.items()}
    steps: list[StepConfig] = []
    for number, step in enumerate(pipeline.steps):
        at: KeyPath = ("steps", number)
        defaults = [
            _Layer(level.defaults, level.level, level.document, (*level.at, "defaults"))
            for level in levels
        ]
        resolved, found = _merge(step, [*defaults, _Layer(step, Level.STEP, document, at)])
        steps.append(resolved)
        origins |= {(*at, *path): origin for path, origin in found.items()}
    return ResolvedPipeline(
        pipeline=pipeline.model_copy(
            update={
                "steps": tuple(steps),
                "defaults": StepSettings(),
                "storage": ImageStorageConfig(),
            }
        ),
        storage=storage,
        document=replace(document, elsewhere=_places_elsewhere(origins)),
        origins=origins,
    )


@dataclass(frozen=True)
class _Layer:
    """A section of one level, and where it stands."""

    settings: FrozenModel
    level: Level
    document: LocatedDocument
    at: KeyPath

    def gives(self, name: str) -> bool:
        return name in self.settings.model_fields_set

    def inside(self, name: str) -> "_Layer":
        return replace(self, settings=getattr(self.settings, name), at=(*self.at, name))

    def origin(self, name: str) -> Origin:
        return Origin(self.level, self.document.where((*self.at, name)))


def _merge(base: M, layers: Sequence[_Layer]) -> tuple[M, dict[KeyPath, Origin]]:
    """Return `base` with what the layers give, the last first, and the origin of each value.

    Parameters
    ----------
    base : model
        Its values hold where no layer gives one. A model inside it is merged key by key.
    """
    values: dict[str, object] = {}
    origins: dict[KeyPath, Origin] = {}
    for name in type(base).model_fields:
        given = [layer for layer in layers if layer.gives(name)]
        own = getattr(base, name)
        if isinstance(own, FrozenModel):
            values[name], found = _merge(own, [layer.inside(name) for layer in given])
            origins |= {(name, *path): origin for path, origin in found.items()}
        elif given:
            values[name] = getattr(given[-1].settings, name)
            origins[(name,)] = given[-1].origin(name)
        else:
            values[name] = own
            origins[(name,)] = Origin(Level.DEFAULT)
    return base.model_copy(update=values), origins


def _places_elsewhere(origins: Mapping[KeyPath, Origin]) -> dict[KeyPath, str]:
    """Return the places of values that stand neither at their step nor nowhere."""
    return {
        path: origin.where
        for path, origin in origins.items()
        if origin.level not in (Level.DEFAULT, Level.STEP)
    }
