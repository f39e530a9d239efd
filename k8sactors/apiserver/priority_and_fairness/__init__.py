"""API priority and fairness: which request is served now, which waits in a queue, which is refused.

`flow_control.py` is the door of the package. A FlowSchema assigns a request to a flow and a
priority level (`matching.py`); the level has seats (`priority_level.py`), and queues between which
it is fair (`queue_set.py`).
Source: KEP-1040 and KEP-3157, documentation of API Priority and Fairness.
"""
