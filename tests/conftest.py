"""Settings that all tests share.

`pytest --hypothesis-profile=thorough tests/raft/test_state_machine.py` looks for as long as it
takes; by default the same tests are small, and the same every time.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "thorough",
    max_examples=2_000,
    stateful_step_count=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
