"""Hours of cores and GPUs, from the records of jobs."""

from pathlib import Path

import pytest

from openhcs_core.plan import Measurement, PlatePlan, StepPlan
from openhcs_core.session.hours import read_hours

TSV = "s\th:m:s\tmax_rss\tcpu_time\n10.0\t0:00:10\t100\t{}\n"


def _plate():
    steps = [
        StepPlan.model_construct(step_name="count", wells=()),
        StepPlan.model_construct(step_name="flat", wells=("A01", "B02")),
    ]
    return PlatePlan.model_construct(name="p", wells=("A01", "B02"), steps=tuple(steps))


def _record(folder, well, **took):
    text = Measurement(digest="d", functions=(), peak_mb=1, **took).model_dump_json()
    _write(folder / f"benchmarks/count/{well}.json", text)


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_cores_count_their_time_and_gpus_the_time_that_they_were_held(tmp_path):
    _record(tmp_path, "A01", wall_s=1800, cpu_s=3600, gpus=2)
    _record(tmp_path, "B02", wall_s=3600, cpu_s=1800)
    hours = read_hours(_plate(), tmp_path)
    assert (hours.cpu_h, hours.gpu_h, hours.jobs) == pytest.approx((1.5, 1.0, 2))


def test_steps_over_the_plate_have_the_record_of_snakemake(tmp_path):
    _write(tmp_path / "benchmarks/flat/plate.tsv", TSV.format(7200))
    hours = read_hours(_plate(), tmp_path)
    assert (hours.cpu_h, hours.jobs) == pytest.approx((2.0, 1))


def test_what_is_missing_or_damaged_counts_nothing(tmp_path):
    assert read_hours(_plate(), Path(tmp_path, "nothing")).jobs == 0
    _write(tmp_path / "benchmarks/count/A01.json", "{")
    _write(tmp_path / "benchmarks/flat/plate.tsv", TSV.format("NA"))
    assert read_hours(_plate(), tmp_path).cpu_h == 0


def test_records_of_other_wells_and_steps_are_of_earlier_configs(tmp_path):
    _record(tmp_path, "C03", wall_s=3600, cpu_s=3600)
    assert read_hours(_plate(), tmp_path).jobs == 0
