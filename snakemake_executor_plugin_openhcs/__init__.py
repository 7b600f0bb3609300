"""``snakemake --executor openhcs``: jobs of openhcs-core in warm workers, all others as usual.

The local executor with another way to start a process: a job whose shell line is one plain
``openhcs-core run-step …`` is done by a process that has its libraries loaded. Decisions are in
``openhcs_core.workers``.
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from snakemake.benchmark import BenchmarkRecord
from snakemake.exceptions import RuleException, WorkflowError
from snakemake.executors.local import Executor as LocalExecutor
from snakemake.executors.local import run_wrapper
from snakemake.settings.types import DeploymentMethod
from snakemake.shell import shell
from snakemake_interface_executor_plugins.settings import CommonSettings

from openhcs_core.errors import ConfigError
from openhcs_core.workers import JobTerms, StepLine, Usage, WarmRun, read_step_line
from snakemake_executor_plugin_openhcs.settings import (
    ExecutorSettings,
    pilot_settings,
    worker_limits,
)

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

common_settings = CommonSettings(
    non_local_exec=False,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_envvar_declarations_to_cmd=True,
    auto_deploy_default_storage_provider=False,
)
_PREFIX = "set -euo pipefail; "


@dataclass(frozen=True)
class _WarmRule:
    """What ``run_wrapper`` asks of a rule."""

    name: str
    shellcmd: str
    run_func: FunctionType
    script: None = None
    wrapper: None = None
    cwl: None = None


class Executor(LocalExecutor):
    """Runs jobs of openhcs-core in warm workers."""

    def __post_init__(self) -> None:
        """Make the pool; its workers are started by jobs."""
        super().__post_init__()
        settings = self.workflow.executor_settings or ExecutorSettings()
        cores = self.workflow.resource_settings.cores or 1
        try:
            self._warm = WarmRun(worker_limits(settings, cores), pilot_settings(settings))
        except ConfigError as error:
            raise WorkflowError(str(error)) from None
        self._is_closed = False

    def run_single_job(self, job: Any) -> Any:
        """Start a job; return its future."""
        line = self._warm_line(job)
        if line is None:
            return super().run_single_job(job)
        arguments = (self._warm_rule(job, line), *self.job_args_and_prepare(job)[1:])
        return self.pool.submit(self.cached_or_run, job, _run, *arguments)

    def _warm_line(self, job: Any) -> StepLine | None:
        """Return the command of a job that needs no shell, environment or process of its own."""
        if not job.is_shell or job.is_shadow or job.is_service or job.pipe_group is not None:
            return None
        if self._is_deployed(job) or job.resources.get("shell_exec") is not None:
            return None
        return read_step_line(job.shellcmd) if _has_usual_shell() else None

    def _is_deployed(self, job: Any) -> bool:
        """Whether the job's software is deployed by Snakemake: another Python than this one."""
        methods = self.workflow.deployment_settings.deployment_method
        return bool(
            (DeploymentMethod.CONDA in methods and job.conda_env)
            or (DeploymentMethod.APPTAINER in methods and job.container_img_path)
            or (DeploymentMethod.ENV_MODULES in methods and job.env_modules)
        )

    def _warm_rule(self, job: Any, line: StepLine) -> _WarmRule:
        """Return a job's rule with another ``shell`` in it.

        All else is the local executor's: benchmarks and their repeats, and errors that name the
        place in the rules.
        """
        function, command = job.rule.run_func, f"{_PREFIX} {job.shellcmd}"

        def warm_shell(*_: Any, bench_record: BenchmarkRecord | None = None, **__: Any) -> None:
            outcome = self._warm.do(line, _terms(job.resources, job.threads))
            if bench_record is not None:
                _fill(bench_record, outcome.usage)
            if outcome.exit_code:
                raise subprocess.CalledProcessError(outcome.exit_code, command)

        names = {**function.__globals__, "shell": warm_shell}
        warm = FunctionType(function.__code__, names, function.__name__, function.__defaults__)
        return _WarmRule(job.rule.name, job.shellcmd, warm)

    def shutdown(self) -> None:
        """Wait for jobs, then let the workers end."""
        super().shutdown()
        self._close()

    def cancel(self) -> None:
        """Do the same: who stops a run with Ctrl-C stops its workers' jobs with it."""
        self._warm.stop()
        super().cancel()
        self._close()

    def _close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        summary = self._warm.close()
        if summary.jobs or summary.put_back:
            self.logger.info(str(summary))


def _run(*arguments: Any) -> None:
    """Do as ``run_wrapper``, whose errors of shell commands name no code but the rule's."""
    try:
        run_wrapper(*arguments)
    except RuleException as error:
        lines = str(error).splitlines()
        while lines[-1].startswith('  File "'):
            lines.pop()
        error.args = ("\n".join(lines),)
        raise


def _has_usual_shell() -> bool:
    """Whether shell lines are run by bash as they stand: nothing before, nothing after."""
    name = os.path.basename(shell.get_executable() or "")  # noqa: PTH119  no path, a name
    has_own = shell._process_prefix is not None or shell._process_suffix  # noqa: SLF001  no getter
    return name == "bash" and not has_own


def _terms(resources: Mapping[str, Any], threads: int) -> JobTerms:
    return JobTerms(
        threads=threads,
        gpus=_number(resources.get("gpu")),
        mem_mb=_number(resources.get("mem_mb")),
        gpu_model=str(resources.get("gpu_model") or ""),
        runtime_min=_number(resources.get("runtime")) or None,
        temporary=resources.get("tmpdir"),
    )


def _number(value: object) -> int:
    """Return what a job asked for; 0 for nothing, and for what is not known yet."""
    return value if isinstance(value, int) and value > 0 else 0


def _fill(record: BenchmarkRecord, usage: Usage) -> None:
    """Put what a job used into a benchmark record; the worker measured it."""
    record.running_time = usage.wall_s
    record.max_rss, record.max_vms = usage.max_rss_mb, usage.vms_mb
    record.max_uss, record.max_pss = usage.uss_mb, usage.pss_mb
    record.io_in, record.io_out = usage.read_mb, usage.written_mb
    record.cpu_time = usage.cpu_s
    record.cpu_usage = 100 * usage.cpu_s  # mean_load is this over the time
    record.data_collected = True
