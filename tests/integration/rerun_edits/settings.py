"""Edits of pipeline text, parameters and code."""

from rerun_edits import actions
from rerun_edits.actions import Replace, add_to_config, in_pipeline
from rerun_edits.model import ALL, COUNT, COUNT_A01, COUNT_A02, FLATTEN, LEVELS, Edit, named
from rerun_edits.project import CONFIG, HELPERS, MODULE, PIPELINE

KEEP = "    keep: true\n"
OVERRIDE = 'overrides:\n  - {plates: [demo], wells: [A02], set: {count: {"1": {max_area: 400}}}}\n'


def _add_override(parameter):
    row = f'  - {{plates: [demo], wells: [A01], set: {{count: {{"1": {{{parameter}}}}}}}}}\n'
    return in_pipeline("overrides:\n", f"overrides:\n{row}")


PARAMETERS = (
    Edit(
        "last-parameter",
        "a parameter of the last step",
        in_pipeline("min_area: 20", "min_area: 60"),
        COUNT,
        is_compared=True,
    ),
    Edit(
        "middle-parameter",
        "a parameter of the step in the middle",
        in_pipeline("99.5", "98.0"),
        FLATTEN,
    ),
    Edit(
        "first-parameter",
        "a parameter of the first step",
        in_pipeline("offset: 1", "offset: 2"),
        ALL,
    ),
    Edit(
        "parameter-put-back",
        "a parameter put back after a run with another value",
        in_pipeline("min_area: 60", "min_area: 20"),
        COUNT,
        before=in_pipeline("min_area: 20", "min_area: 60"),
        is_compared=True,
    ),
    Edit(
        "key-order",
        "the order of keys",
        in_pipeline(
            "{low_percentile: 1.0, high_percentile: 99.5}",
            "{high_percentile: 99.5, low_percentile: 1.0}",
        ),
    ),
    Edit(
        "pipeline-comment",
        "a comment in the pipeline",
        in_pipeline(KEEP, f"    # for the paper\n{KEEP}"),
    ),
    Edit("config-comment", "a comment in the config", add_to_config("# of this screen")),
    Edit("pipeline-name", "the pipeline's name", in_pipeline("name: small", "name: large")),
    Edit("notation", "`99.5` written as `9.95e1`", in_pipeline("99.5", "9.95e1")),
    Edit(
        "default",
        "a default written out",
        in_pipeline("{min_area: 20}", "{min_area: 20, sigma: 1.0}"),
    ),
    Edit(
        "own-default",
        "a default of a function of your own written out",
        in_pipeline("{offset: 1}", "{offset: 1, gain: 1}"),
    ),
    Edit(
        "moved-to-defaults",
        "a setting moved from its step to `defaults`",
        actions.move_setting_to_defaults,
    ),
    Edit(
        "override-added",
        "an override for A01",
        _add_override("min_area: 90"),
        COUNT_A01,
    ),
    Edit(
        "override-changed",
        "the override for A02",
        in_pipeline("max_area: 400", "max_area: 300"),
        COUNT_A02,
    ),
    Edit(
        "override-removed",
        "the override for A02 removed",
        in_pipeline(OVERRIDE, ""),
        COUNT_A02,
        is_compared=True,
    ),
    Edit(
        "resources",
        "`resources` of a step",
        in_pipeline(KEEP, f"{KEEP}    resources: {{mem_mb: 900}}\n"),
    ),
)

CODE = (
    Edit(
        "function",
        "code of a function of your own",
        Replace(MODULE, "shift(image_stack, offset)", "shift(image_stack, offset + 1)"),
        ALL,
        is_compared=True,
    ),
    Edit("layout", "a comment, a docstring or the layout of it", actions.change_layout),
    Edit(
        "helper",
        "a module beside it that it imports",
        Replace(HELPERS, "type(offset)", "type(offset + 1)"),
        ALL,
    ),
    Edit("library", "the version of a library that it imports", actions.update_library, ALL),
    Edit(
        "csv-suffix",
        "the suffix of a table that it writes",
        Replace(MODULE, "CsvOptions()", 'CsvOptions(filename_suffix=".max.csv")'),
        ALL - LEVELS | named("clean levels.max.csv"),
        note="The table under its old name is named before the run, and stays.",
    ),
    Edit(
        "csv-fields",
        "the fields of a table that it writes",
        Replace(MODULE, "CsvOptions()", 'CsvOptions(fields=["highest"])'),
        ALL,
    ),
    Edit("module-moved", "its file moved to another folder", actions.move_module),
    Edit("module-renamed", "its file renamed", actions.rename_module, ALL),
)

_SCRIPT = """from mine import clean
from openhcs_core.functions.segment import count_cells_single_channel
from openhcs_core.pipeline import FunctionStep

pipeline_name = "small"
pipeline_steps = [
    FunctionStep(name="clean", func=(clean, {"offset": 1})),
    FunctionStep(
        name="flatten",
        func=[
            "max_projection",
            ("stack_percentile_normalize", {"low_percentile": 1.0, "high_percentile": 99.5}),
        ],
        variable_components=["z_index"],
    ),
    FunctionStep(
        name="count",
        group_by="channel",
        func={"1": (count_cells_single_channel, {"min_area": 20}), "2": "measure_intensity"},
        keep=True,
    ),
]
"""


def _into_python(project):
    project.write("config/pipeline.py", _SCRIPT)
    project.edit(CONFIG, "functions:", "pipeline: config/pipeline.py\nfunctions:")


PLACES = (
    Edit(
        "python",
        "the same pipeline in Python",
        _into_python,
        before=Replace(PIPELINE, OVERRIDE, ""),
    ),
    Edit(
        "config-moved",
        "the config moved (`--config config=PATH`)",
        actions.move_config,
        arguments=("--config", "config=screen.yaml"),
    ),
    Edit("results-moved", "the results moved, times kept", actions.move_results),
    Edit("plate-moved", "the plate moved, times kept", actions.move_plate),
    Edit(
        "profile",
        "another profile or scheduler",
        actions.do_nothing,
        arguments=("--workflow-profile", "profile"),
    ),
    Edit("cpu-only", "`execution: {gpu: none}`", add_to_config("execution: {gpu: none}")),
    Edit(
        "fallbacks",
        "`fallbacks: [oom_split, oom_cpu]`",
        add_to_config("fallbacks: [oom_split, oom_cpu]"),
    ),
    Edit("cache-moved", "`storage.cache_dir`", add_to_config("storage: {cache_dir: scratch}")),
)
