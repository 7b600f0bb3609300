"""Which wells share a plan: one object, one digest and, but for functions by well, one file."""

from collections.abc import Collection, Mapping, Sequence

from openhcs_core.plan import StepPlan, plan_digest

Plans = tuple[StepPlan, ...]


def share_plans(
    usual: Sequence[tuple[Plans, tuple[str, ...]]],
    overridden: Mapping[str, Plans],
    by_well: Collection[int],
    wells: Sequence[str],
) -> tuple[Plans, dict[str, dict[str, StepPlan]]]:
    """Return the plan of each step that most wells have, and those of wells that have another.

    Parameters
    ----------
    usual : sequence of (tuple of StepPlan, tuple of str)
        The plans of a pipeline and the wells they are of, without overrides.
    overridden : mapping of str to tuple of StepPlan
        Plans of wells that have overrides.
    by_well : collection of int
        Numbers of the steps whose functions differ by well: all wells get a plan of their own,
        so that another function of one well changes no file of others.
    wells : sequence of str
        All of them, in plate order.
    """
    of_well = {well: plans for plans, members in usual for well in members}
    of_well.update(overridden)
    steps: list[StepPlan] = []
    well_steps: dict[str, dict[str, StepPlan]] = {}
    for number in range(len(usual[0][0])):
        intern = _Interned()
        shares: dict[int, int] = {}
        plans: dict[int, StepPlan] = {}
        for of_step, members in usual:
            plan = intern(of_step[number])
            plans[id(plan)] = plan
            shares[id(plan)] = shares.get(id(plan), 0) + len(members)
        common = plans[max(shares, key=lambda key: shares[key])]
        own = {well: intern(of_well[well][number]) for well in wells}
        if number not in by_well:
            own = {well: plan for well, plan in own.items() if plan is not common}
        steps.append(common)
        if own:
            well_steps[common.step_name] = own
    return tuple(steps), well_steps


class _Interned:
    """Gives the same object for equal plans."""

    def __init__(self) -> None:
        self._first: StepPlan | None = None
        self._by_id: dict[int, StepPlan] = {}
        self._by_digest: dict[str, StepPlan] = {}

    def __call__(self, plan: StepPlan) -> StepPlan:
        if id(plan) not in self._by_id:
            self._by_id[id(plan)] = self._find(plan)
        return self._by_id[id(plan)]

    def _find(self, plan: StepPlan) -> StepPlan:
        self._first = self._first or plan
        if plan == self._first:  # mostly so, and sooner known than a digest
            return self._first
        return self._by_digest.setdefault(plan_digest(plan), plan)
