"""Is there one order of all operations that explains every answer and respects real time?

The search is Wing and Gong's (1993) with Lowe's memoisation (2017), as Knossos and Porcupine use
it: repeatedly pick an operation that no other pending operation precedes, apply it to the model,
compare the answer, go back when stuck, and never visit the same (set of operations done, state)
twice. Linearizability is local (Herlihy and Wing 1990, theorem 1), so operations are first split
into groups that share no key; only a multi-key transaction joins keys.

An operation of unknown outcome has no return: it stays pending for ever. Leaving it for last is the
same as "it never happened", because nobody observes the state after the end. It is therefore only
tried where it changes the state.

Linearizability is also prefix-closed: when a history is not linearizable, there is a first answer
that made it so, found by bisection. The explanation shows that answer, the values that would have
been right at that point, and the operations that lead there.
"""

from collections.abc import Iterator, Sequence
from enum import Enum

from attrs import define, evolve, field, frozen

from k8sactors.checkers.findings import Finding
from k8sactors.checkers.kv_history import Action, ActionKind, Operation, Outcome, Value, show

MAX_STATES = 500_000
"""How many configurations are visited per group of keys before the search gives up."""

_MAX_EXPLAINED_STATES = 20_000
_MAX_SHOWN_OPERATIONS = 12

_State = tuple[Value, ...]
_FOREVER = 1 << 62


class Verdict(Enum):
    """The answer for one history."""

    LINEARIZABLE = "linearizable"
    VIOLATED = "not linearizable"
    UNDECIDED = "undecided: too many possible orders"


@frozen
class Report:
    """What the check found.

    Attributes:
        verdict: for the whole history.
        keys: the group of keys that decided it (empty when linearizable).
        window: the shortest failing prefix of that group, in order of call.
        culprit: the operation whose answer no order explains.
        text: the explanation in words.
    """

    verdict: Verdict
    keys: tuple[str, ...] = ()
    window: tuple[Operation, ...] = ()
    culprit: Operation | None = None
    text: str = ""


def check_linearizable(operations: Sequence[Operation], max_states: int = MAX_STATES) -> Report:
    """Judge a history of key-value operations that starts from an empty store."""
    undecided: Report | None = None
    for keys, group in _groups(operations):
        verdict = _Search(keys, group, max_states).run()
        if verdict is Verdict.VIOLATED:
            return _explain(keys, group, max_states)
        if verdict is Verdict.UNDECIDED:
            undecided = undecided or Report(verdict, keys, text=f"{verdict.value} on {keys}")
    return undecided or Report(Verdict.LINEARIZABLE)


def findings(operations: Sequence[Operation]) -> list[Finding]:
    """The linearizability check in the form that chaos runs collect."""
    report = check_linearizable(operations)
    if report.culprit is None:
        return []
    return [Finding("linearizability", report.text, report.culprit.returned_ns or 0)]


def check_revisions(operations: Sequence[Operation]) -> list[Finding]:
    """Revisions in answers never run backwards in real time, and no two writes share one.

    Unlike the search it costs only a sort, and it sees stale reads of keys that nobody overwrote.
    """
    done = [op for op in operations if op.outcome is not None and op.outcome.revision is not None]
    found: list[Finding] = []
    events = sorted(
        [(op.call_order, 0, op) for op in done] + [(op.return_order or 0, 1, op) for op in done],
        key=lambda event: event[0],
    )
    newest = 0
    floor: dict[int, int] = {}
    writer: dict[int, Operation] = {}
    for order, is_return, operation in events:
        if not is_return:
            floor[order] = newest
            continue
        assert operation.outcome is not None
        revision = operation.outcome.revision or 0
        if revision < floor[operation.call_order]:
            message = (
                f"{operation} answered at revision {revision}, but revision "
                f"{floor[operation.call_order]} had been answered before it was called"
            )
            found.append(Finding("revision-order", message, operation.returned_ns or 0))
        if _wrote(operation):
            if revision in writer:
                message = f"two writes at revision {revision}: {writer[revision]} and {operation}"
                found.append(Finding("revision-unique", message, operation.returned_ns or 0))
            writer[revision] = operation
        newest = max(newest, revision)
    return found


def _wrote(operation: Operation) -> bool:
    outcome = operation.outcome
    assert outcome is not None
    branch = operation.request.success if outcome.succeeded else operation.request.failure
    for position, action in enumerate(branch):
        if action.kind is ActionKind.PUT:
            return True
        if action.kind is ActionKind.DELETE and outcome.results[position] not in {0, None}:
            return True
    return False


def _groups(operations: Sequence[Operation]) -> Iterator[tuple[tuple[str, ...], list[Operation]]]:
    """Split into sets of operations that share no key (union-find over the keys)."""
    parent: dict[str, str] = {}

    def find(key: str) -> str:
        root = key
        while parent.setdefault(root, root) != root:
            root = parent[root]
        while parent[key] != root:
            parent[key], key = root, parent[key]
        return root

    for operation in operations:
        first, *others = operation.request.keys
        for other in others:
            parent[find(other)] = find(first)
        find(first)
    members: dict[str, list[Operation]] = {}
    for operation in operations:
        members.setdefault(find(operation.request.keys[0]), []).append(operation)
    for root, group in members.items():
        keys = tuple(key for key in parent if find(key) == root)
        yield keys, sorted(group, key=lambda operation: operation.call_order)


@define
class _Model:
    """The sequential specification: a map, one transaction at a time."""

    keys: tuple[str, ...]
    _index: dict[str, int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._index = {key: position for position, key in enumerate(self.keys)}

    def initial(self) -> _State:
        return (None,) * len(self.keys)

    def apply(self, state: _State, operation: Operation) -> tuple[_State, Outcome]:
        """The state after the operation, and the answer that a correct store gives."""
        request = operation.request
        holds = all(state[self._index[c.key]] == c.value for c in request.compares)
        values = list(state)
        results = [
            self._act(values, action) for action in (request.success if holds else request.failure)
        ]
        return tuple(values), Outcome(holds, tuple(results))

    def _act(self, values: list[Value], action: Action) -> Value | int:
        position = self._index[action.key]
        before = values[position]
        if action.kind is ActionKind.GET:
            return before
        if action.kind is ActionKind.DELETE:
            values[position] = None
            return int(before is not None)
        values[position] = action.value
        return None


def _agrees(operation: Operation, expected: Outcome) -> bool:
    told = operation.outcome
    if told is None:
        return True
    return told.succeeded == expected.succeeded and told.results == expected.results


@define
class _Frame:
    """One level of the search: the state here, and the candidates not yet tried."""

    state: _State
    done: int
    candidates: list[int]


class _Search:
    """Depth-first over configurations; operations are numbered in order of call."""

    def __init__(
        self, keys: tuple[str, ...], operations: Sequence[Operation], max_states: int
    ) -> None:
        self.model = _Model(keys)
        # An unanswered read neither explains nor constrains anything.
        self.operations = [
            op for op in operations if not (op.is_unknown and op.request.is_read_only)
        ]
        self.max_states = max_states
        self.required = 0
        for number, operation in enumerate(self.operations):
            if not operation.is_unknown:
                self.required |= 1 << number
        self.seen: set[tuple[int, _State]] = set()
        self.returns = [
            _FOREVER if op.return_order is None else op.return_order for op in self.operations
        ]

    def run(self) -> Verdict:
        if self.required == 0:
            return Verdict.LINEARIZABLE
        start = self.model.initial()
        stack = [_Frame(start, 0, self._candidates(0))]
        self.seen.add((0, start))
        while stack:
            frame = stack[-1]
            if not frame.candidates:
                stack.pop()
                continue
            following = self._step(frame, frame.candidates.pop())
            if following is None:
                continue
            if following.done & self.required == self.required:
                return Verdict.LINEARIZABLE
            if len(self.seen) > self.max_states:
                return Verdict.UNDECIDED
            stack.append(following)
        return Verdict.VIOLATED

    def states_before(self, number: int) -> list[_State]:
        """All states in which operation `number` could have run (bounded)."""
        found: dict[_State, None] = {}
        start = self.model.initial()
        stack = [_Frame(start, 0, self._candidates(0))]
        while stack and len(self.seen) < _MAX_EXPLAINED_STATES:
            frame = stack.pop()
            for candidate in frame.candidates:
                if candidate == number:
                    found[frame.state] = None
                elif (following := self._step(frame, candidate)) is not None:
                    stack.append(following)
        return list(found)

    def _step(self, frame: _Frame, number: int) -> _Frame | None:
        """The configuration after one more operation; None if impossible or visited."""
        operation = self.operations[number]
        state, expected = self.model.apply(frame.state, operation)
        if operation.is_unknown and state == frame.state:
            return None
        if not _agrees(operation, expected):
            return None
        done = frame.done | 1 << number
        if (done, state) in self.seen:
            return None
        self.seen.add((done, state))
        return _Frame(state, done, self._candidates(done))

    def _candidates(self, done: int) -> list[int]:
        """Operations that may come next, least promising first.

        An operation may come next when no undone operation returned before it was called. Those
        of unknown outcome are tried last.
        """
        answered: list[int] = []
        unknown: list[int] = []
        earliest_return = _FOREVER
        number = (~done & (done + 1)).bit_length() - 1
        for position in range(number, len(self.operations)):
            if done >> position & 1:
                continue
            if self.operations[position].call_order > earliest_return:
                break
            earliest_return = min(earliest_return, self.returns[position])
            (unknown if self.operations[position].is_unknown else answered).append(position)
        return [*reversed(unknown), *reversed(answered)]


def _prefix(group: Sequence[Operation], last_order: int) -> list[Operation]:
    """The history as it looked right after `last_order`: later answers are not known yet."""
    return [
        operation
        if operation.return_order is not None and operation.return_order <= last_order
        else evolve(operation, return_order=None, returned_ns=None, outcome=None)
        for operation in group
        if operation.call_order <= last_order
    ]


def _explain(keys: tuple[str, ...], group: list[Operation], max_states: int) -> Report:
    """Find the first answer that no order explains, by bisection over the answers."""
    answers = sorted(
        (op for op in group if op.return_order is not None), key=lambda op: op.return_order or 0
    )
    good, bad = -1, len(answers) - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        prefix = _prefix(group, answers[middle].return_order or 0)
        if _Search(keys, prefix, max_states).run() is Verdict.VIOLATED:
            bad = middle
        else:
            good = middle
    culprit = answers[bad]
    assert culprit.return_order is not None
    window = _prefix(group, culprit.return_order)
    text = _text(keys, window, culprit, max_states)
    return Report(Verdict.VIOLATED, keys, tuple(window), culprit, text)


def _text(
    keys: tuple[str, ...], window: list[Operation], culprit: Operation, max_states: int
) -> str:
    before = _prefix(window, (culprit.return_order or 0) - 1)
    # The culprit stays in, unanswered, so that it is a candidate wherever it could have run.
    operations = [culprit if op.call_order == culprit.call_order else op for op in before]
    search = _Search(keys, operations, max_states)
    possible: list[str] = []
    if culprit in search.operations:
        number = search.operations.index(culprit)
        for state in search.states_before(number):
            pairs = zip(keys, state, strict=True)
            possible.append(", ".join(f"{key}={show(value)}" for key, value in pairs))
    lines = [f"no order of the operations explains: {culprit}"]
    if possible:
        lines.append("the store could only have held: " + " or ".join(possible))
    shown = window[-_MAX_SHOWN_OPERATIONS:]
    if len(shown) < len(window):
        lines.append(f"({len(window) - len(shown)} earlier operations)")
    for operation in shown:
        end = "..." if operation.return_order is None else str(operation.return_order)
        mark = ">" if operation.call_order == culprit.call_order else " "
        lines.append(f"{mark} [{operation.call_order}, {end}] {operation}")
    return "\n".join(lines)
