"""A plate's run as a Workflow Run RO-Crate, built with ro-crate-py."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from openhcs_core.plan import CRATE_FOLDER
from openhcs_core.session.crate.contents import CrateFile, PlateRecord
from openhcs_core.session.crate.sources import CONFIG, SNAKEFILE, CrateSources

if TYPE_CHECKING:
    from rocrate.model import Entity

INPUTS = "inputs.csv"
_RO_CRATE = "1.1"
_CONTEXT = "https://w3id.org/ro/terms/workflow-run/context"
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
_BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_FORMATS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".py": "text/x-python",
    ".smk": "text/x-python",
    ".tif": "image/tiff",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
    ".zip": "application/zip",
}
_PYPI = "https://pypi.org/project/"
_NO_LICENSE = "No licence is given; ask whoever made the plate and its results"
_DIGEST = "XXH3-128 over the content digests of all images, as manifests have them"


@dataclass(frozen=True)
class CrateDescription:
    """What people say of a crate.

    Attributes
    ----------
    plate : str
        Name of the plate.
    plate_path : str
        Folder or URL of its images, as the config has it.
    license : str or None
        URL of the licence of the results.
    person, orcid : str or None
        Who ran it.
    """

    plate: str
    plate_path: str
    license: str | None = None
    person: str | None = None
    orcid: str | None = None


def crate_metadata(
    about: CrateDescription,
    record: PlateRecord,
    sources: CrateSources,
    source_files: Iterable[CrateFile],
    versions: Mapping[str, str],
) -> bytes:
    """Return the text of ``ro-crate-metadata.json``; the same for the same results.

    Parameters
    ----------
    about : CrateDescription
        What people say of it.
    record : PlateRecord
        What was made.
    sources : CrateSources
        What it was made by.
    source_files : iterable of CrateFile
        The files of `sources` and the list of images, as they are in the crate.
    versions : mapping of str to str
        Versions of the software, by distribution.
    """
    graph = _Graph(about, record)
    graph.add_root()
    workflow = graph.add_sources(sources, source_files)
    graph.add_software(workflow, versions)
    graph.add_action(workflow)
    data = graph.crate.metadata.generate()
    return f"{json.dumps(data, indent=1, ensure_ascii=False)}\n".encode()


class _Graph:
    """Adds the entities of a crate in a fixed order, with fixed ids."""

    def __init__(self, about: CrateDescription, record: PlateRecord) -> None:
        from rocrate.rocrate import ROCrate

        self.crate = ROCrate(version=_RO_CRATE)
        self._about, self._record = about, record
        self._inputs: list[Entity] = []
        self._workflow: Entity | None = None

    def add_root(self) -> None:
        """Describe the crate as a whole."""
        crate, about = self.crate, self._about
        crate.metadata.extra_contexts.append(_CONTEXT)
        crate.name = f"Results of plate {about.plate}"
        crate.description = (
            f"What openhcs-core computed of the images of plate {about.plate}, and what it takes "
            "to compute it again (openhcs-core rerun)."
        )
        crate.datePublished = _time(self._record.ended)
        if about.license is None:
            crate.license = _NO_LICENSE
        else:
            crate.license = self._context(
                about.license, "CreativeWork", name=about.license, url=about.license
            )
        profiles = [
            self._context(url, "CreativeWork", name=name, version=version)
            for url, (name, version) in _PROFILES.items()
        ]
        crate.root_dataset["conformsTo"] = profiles

    def add_sources(self, sources: CrateSources, files: Iterable[CrateFile]) -> "Entity":
        """Add workflow, config, pipeline and all else that the run is repeated from."""
        known = {file.path.removeprefix(f"{CRATE_FOLDER}/"): file for file in files}
        entities = {}
        workflow = self._add_workflow(known.pop(SNAKEFILE))
        for name, file in sorted(known.items()):
            entities[name] = self._file(file)
        workflow["hasPart"] = [
            entities[name] for name in sorted(entities) if name.endswith((".smk", ".py"))
        ]
        self._plate_input(workflow, entities[INPUTS])
        self._input(workflow, entities[CONFIG], "config", "What to do with the plate")
        self._input(workflow, entities[sources.pipeline], "pipeline", "The steps")
        if sources.plate_map is not None:
            self._input(workflow, entities[sources.plate_map], "plate_map", "What is in each well")
        for name in sources.functions:
            stem = PurePosixPath(name).stem
            self._input(workflow, entities[name], f"functions/{stem}", f"The functions {stem}:…")
        self._add_parameters(workflow)
        return workflow

    def add_software(self, workflow: "Entity", versions: Mapping[str, str]) -> None:
        """Add the versions of all software that the results depend on."""
        named = {
            name: version
            for own in self._record.functions.values()
            for name, version in own.items()
            if name != "source"
        }
        software = [
            self._context(
                "https://www.python.org/" if name == "python" else f"{_PYPI}{name}/",
                "SoftwareApplication",
                name=name,
                softwareVersion=version,
                url="https://www.python.org/" if name == "python" else f"{_PYPI}{name}/",
            )
            for name, version in sorted({**versions, **named}.items())
        ]
        workflow["softwareRequirements"] = software
        workflow["version"] = versions["openhcs-core"]

    def add_action(self, workflow: "Entity") -> None:
        """Add the run: what it read, what it made, when."""
        record, about = self._record, self._about
        results = [self._file(file) for file in record.files]
        tables = {file.path for file in record.files} & set(record.tables)
        for entity, file in zip(results, record.files, strict=True):
            if file.path in tables:
                self._output(workflow, entity, file.path, "File")
        results += [self._images(workflow, number) for number in range(len(record.images))]
        properties = {
            "@type": "CreateAction",
            "name": f"openhcs-core on plate {about.plate}",
            "description": self._outcome(),
            "startTime": _time(record.started),
            "endTime": _time(record.ended),
            "actionStatus": "http://schema.org/CompletedActionStatus",
        }
        action = self.crate.add_action(
            workflow, "#run", object=self._inputs, result=results, properties=properties
        )
        if about.person is not None:
            person = self._context(about.orcid or "#person", "Person", name=about.person)
            action["agent"] = self.crate.root_dataset["author"] = person
        self.crate.root_dataset["mentions"] = action

    def _outcome(self) -> str:
        left_out = self._record.left_out
        jobs = sum(file.path.startswith("manifests/") for file in self._record.files)
        text = f"{jobs} jobs, {len(self._record.inputs)} images read"
        return f"{text}; failed and left out: {', '.join(left_out)}" if left_out else text

    def _add_workflow(self, file: CrateFile) -> "Entity":
        workflow = self.crate.add_workflow(
            dest_path=file.path,
            main=True,
            lang="snakemake",
            properties={"name": "OpenHCS on Snakemake", **_of_file(file)},
        )
        url = f"{_PYPI}openhcs-core/"
        workflow["conformsTo"] = self._context(_BIOSCHEMAS, "CreativeWork", name="Bioschemas")
        workflow["url"] = url
        workflow["license"] = "https://spdx.org/licenses/BSD-3-Clause"
        workflow["description"] = "Compiles config and pipeline into rules, and runs them"
        workflow["input"], workflow["output"] = [], []
        return workflow

    def _plate_input(self, workflow: "Entity", images: "Entity") -> None:
        """Add the plate: its images are no part of the crate, their list is."""
        path = self._about.plate_path
        is_url = "://" in path
        plate = self._context(
            path if is_url else "#plate",
            "Dataset",
            name=self._about.plate,
            description=f"Images of the plate, in {path}; {images.id} lists those that were read",
            hasPart=images,
        )
        self._input(workflow, plate, "plate", "Folder or URL of the plate", "Dataset")
        self._inputs.append(images)

    def _add_parameters(self, workflow: "Entity") -> None:
        for number, parameter in enumerate(self._record.parameters, start=1):
            wells = f" in {', '.join(parameter.wells)}" if parameter.wells else ""
            value = self._context(
                f"#parameter-{number}",
                "PropertyValue",
                name=f"{parameter.name}{wells}",
                value=_plain(parameter.value),
            )
            self._input(workflow, value, value["name"], None, _type(parameter.value))

    def _images(self, workflow: "Entity", number: int) -> "Entity":
        images = self._record.images[number]
        digest = self._context(
            f"#pixels-{number + 1}",
            "PropertyValue",
            name=f"digest of {images.path}",
            propertyID=_DIGEST,
            value=images.digest,
        )
        entity = self.crate.add_dataset(
            dest_path=images.path,
            properties={
                "name": f"Images of step {images.step}",
                "description": f"{images.planes} images, labels included",
                "identifier": digest,
            },
        )
        self._output(workflow, entity, images.path, "Dataset")
        return entity

    def _input(
        self, workflow: "Entity", entity: "Entity", name: str, text: str | None, kind: str = "File"
    ) -> None:
        slot = self._slot(f"#input-{len(self._inputs) + 1}", entity, name, kind, text)
        workflow.append_to("input", slot)
        self._inputs.append(entity)

    def _output(self, workflow: "Entity", entity: "Entity", name: str, kind: str) -> None:
        number = len(workflow["output"]) + 1
        workflow.append_to("output", self._slot(f"#output-{number}", entity, name, kind, None))

    def _slot(
        self, identifier: str, entity: "Entity", name: str, kind: str, text: str | None
    ) -> "Entity":
        slot = self.crate.add_formal_parameter(name, kind, identifier, text)
        slot["workExample"] = entity
        entity["exampleOfWork"] = slot
        return slot

    def _file(self, file: CrateFile) -> "Entity":
        name = PurePosixPath(file.path).name
        return self.crate.add_file(dest_path=file.path, properties={"name": name, **_of_file(file)})

    def _context(self, identifier: str, kind: str, **properties: Any) -> "Entity":
        from rocrate.model import ContextEntity

        content = {"@type": kind, **properties}
        return self.crate.add(ContextEntity(self.crate, identifier, properties=content))


def _of_file(file: CrateFile) -> dict[str, Any]:
    properties: dict[str, Any] = {"contentSize": str(file.size_bytes), "sha256": file.sha256}
    suffix = ".smk" if file.path.endswith(SNAKEFILE) else PurePosixPath(file.path).suffix
    encoding = _FORMATS.get(suffix)
    return properties | ({} if encoding is None else {"encodingFormat": encoding})


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()


def _plain(value: Any) -> Any:
    """Return a value that schema.org knows; anything deeper, and null, as JSON text."""
    return value if isinstance(value, (bool, int, float, str)) else json.dumps(value)


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, int):
        return "Integer"
    return "Float" if isinstance(value, float) else "Text"
