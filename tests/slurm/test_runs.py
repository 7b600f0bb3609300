"""``snakemake --profile slurm`` gives what a run on this machine gives."""


def test_two_plates_give_what_a_local_run_gives(new_project):
    wells = range(1, 9)
    on_cluster = new_project("cluster", plates=("one", "two"), columns=wells)
    on_cluster.configure("execution: {granularity: fused, wells_per_job: 4}\n")
    output = on_cluster.done()
    assert output.count("has been submitted with SLURM jobid") == 4

    local = new_project("local", plates=("one", "two"), columns=wells)
    local.done("--executor", "openhcs", local=True)
    assert on_cluster.committed() == local.committed()
    assert len(local.committed()) > 2 * len(wells) * 4
