"""Which recorded cases concern what is there, and why the others wait."""

from tests.golden.reduction import LEFT_OUT

QUOTA = "needs ResourceQuota admission"
INTER_POD = "needs inter-pod affinity"
SPREAD = "needs topology spread"
BUDGETS = "needs disruption budgets"

# By the first word of the name: areas of which nothing is built.
AREAS_NOT_BUILT = {
    "app": "whole applications: need Jobs, quotas, DaemonSets or StatefulSets",
    "ds": "needs DaemonSets",
    "hpa": "needs the HorizontalPodAutoscaler",
    "job": "needs Jobs",
    "pdb": BUDGETS,
    "pv": "needs volumes",
    "pvc": "needs volumes",
    "quota": QUOTA,
    "schedvol": "needs volumes",
    "sts": "needs StatefulSets",
}
CASES_NOT_BUILT = {
    "deploy-quota-replica-failure": QUOTA,
    "preempt-anti-affinity": INTER_POD,
    "preempt-pdb-respected": BUDGETS,
    "rs-quota-blocked": QUOTA,
    "sched-anti-affinity-hostname": INTER_POD,
    "sched-anti-affinity-symmetry": INTER_POD,
    "sched-anti-affinity-zone": INTER_POD,
    "sched-pod-affinity-self": INTER_POD,
    "sched-replica-spreading": SPREAD,
    "sched-replica-spreading-existing": SPREAD,
    "sched-spread-missing-label": SPREAD,
    "sched-spread-skew-two": SPREAD,
    "sched-spread-soft": SPREAD,
    "sched-spread-two-constraints": SPREAD,
    "sched-spread-zone": SPREAD,
}


def not_built(case: str) -> str | None:
    """Why a case cannot pass yet, None when it must."""
    if case in LEFT_OUT:
        return None  # compared in part
    return CASES_NOT_BUILT.get(case) or AREAS_NOT_BUILT.get(case.partition("-")[0])
