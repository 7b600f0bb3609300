"""JSON Schemas of config and pipeline files: ``python -m openhcs_core.config.schemas FOLDER``."""

import json
import sys
from pathlib import Path

from openhcs_core.config.base import FrozenModel
from openhcs_core.config.workflow import PipelineConfig, WorkflowConfig

MODELS: dict[str, type[FrozenModel]] = {
    "config.schema.json": WorkflowConfig,
    "pipeline.schema.json": PipelineConfig,
}
"""File name → model."""


def schema_text(model: type[FrozenModel]) -> str:
    """Return the JSON Schema of a model, the same for equal models."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(),
    }
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write every schema into the one folder named in `arguments`."""
    (folder,) = arguments
    for name, model in MODELS.items():
        Path(folder, name).write_text(schema_text(model), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
