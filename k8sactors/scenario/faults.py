"""Carries out the faults of a scenario on hosts and network."""

from itertools import product

import attrs

from k8sactors.scenario.errors import StepError
from k8sactors.scenario.result import StepResult
from k8sactors.scenario.roles import Place, Roles
from k8sactors.scenario.steps import Injection
from k8sactors.scenario.targets import Target
from k8sactors.scenario.world import HostLike, World


@attrs.define
class Injector:
    """Breaks and mends a world."""

    world: World
    roles: Roles

    async def inject(self, injection: Injection, result: StepResult) -> None:
        """Carry out one fault; what it hit goes to the result.

        Raises:
            StepError: there is nothing to hit.
        """
        match injection.verb:
            case "kill" | "restart" | "pause" | "resume":
                places = await self.roles.resolve(injection.action)
                for place in places:
                    self._host_fault(injection.verb, place, result)
            case "cut" | "mend":
                places = await self._link(injection, result)
            case "degrade":
                places = await self._degrade(injection, result)
            case "isolate":
                places = await self._isolate(injection, result)
            case "partition":
                places = await self._partition(injection, result)
            case _:
                places = self._heal(result, restart=injection.action.restart)
        if injection.save:
            self.roles.saved[injection.save] = places

    def _host(self, name: str) -> HostLike:
        host = self.world.hosts.get(name)
        if host is None:
            raise StepError(f"there is no host {name}")
        return host

    def _host_fault(self, verb: str, place: Place, result: StepResult) -> None:
        host = self._host(place.host)
        before = living(host)
        if verb == "pause":
            host.pause()
            result.detail.append(f"froze host {host.name}")
        elif verb == "resume":
            host.resume()
            result.detail.append(f"host {host.name} goes on")
        elif place.actor is None:
            host.kill() if verb == "kill" else host.restart()
            done = "killed" if verb == "kill" else "restarted"
            result.detail.append(f"{done} host {host.name} ({host.zone})")
        else:
            if place.actor not in host.slots:
                known = ", ".join(host.slots) or "nothing"
                raise StepError(f"{host.name} runs no {place.actor}; it runs {known}")
            (host.kill_actor if verb == "kill" else host.restart_actor)(place.actor)
            result.detail.append(f"{'killed' if verb == 'kill' else 'restarted'} {place}")
        if verb == "kill":
            after = living(host)
            result.lost += [each for each in before if each not in after]

    async def _ends(self, targets: list[Target]) -> list[tuple[str, str]]:
        left, right = [await self.roles.hosts(target) for target in targets[:2]]
        pairs = [(a, b) for a, b in product(left, right) if a != b]
        if not pairs:
            raise StepError("both ends are the same host")
        return pairs

    async def _link(self, injection: Injection, result: StepResult) -> list[Place]:
        pairs = await self._ends(injection.action.between)
        one_way = injection.action.one_way
        for a, b in pairs:
            if injection.verb == "cut":
                self.world.network.cut(a, b, one_way=one_way)
            else:
                self.world.network.mend(a, b)
            arrow = "->" if one_way else "<->"
            result.detail.append(f"{injection.verb} {a} {arrow} {b}")
        return _places(pairs)

    async def _degrade(self, injection: Injection, result: StepResult) -> list[Place]:
        action = injection.action
        pairs = await self._ends(action.between)
        for a, b in pairs:
            self.world.network.degrade(
                a,
                b,
                delay_ns=action.delay_ns,
                jitter_ns=action.jitter_ns,
                loss=action.loss,
                duplicate=action.duplicate,
                reorder=action.reorder,
            )
        result.detail.append(f"made {len(pairs)} link(s) worse")
        return _places(pairs)

    async def _isolate(self, injection: Injection, result: StepResult) -> list[Place]:
        inside = await self.roles.hosts(injection.action)
        outside = [name for name in self.world.hosts if name not in inside]
        self.world.network.partition([inside, outside])
        result.detail.append(f"cut off {', '.join(inside)} from all other hosts")
        return [Place(name) for name in inside]

    async def _partition(self, injection: Injection, result: StepResult) -> list[Place]:
        groups: list[list[str]] = []
        for group in injection.action.groups:
            hosts = [name for target in group for name in await self.roles.hosts(target)]
            groups.append(list(dict.fromkeys(hosts)))
        twice = [name for name in groups[0] if any(name in group for group in groups[1:])]
        if twice:
            raise StepError(f"host {twice[0]} is in two groups of the partition")
        self.world.network.partition(groups)
        result.detail.append(" | ".join(", ".join(group) for group in groups))
        return [Place(name) for name in groups[0]]

    def _heal(self, result: StepResult, *, restart: bool) -> list[Place]:
        self.world.network.heal()
        healed = ["network healed"]
        if restart:
            for host in self.world.hosts.values():
                healed += self._revive(host)
        result.detail += healed
        return []

    def _revive(self, host: HostLike) -> list[str]:
        if not host.up:
            host.restart()
            return [f"restarted host {host.name}"]
        done = []
        if host.paused:
            host.resume()
            done.append(f"host {host.name} goes on")
        for name, slot in host.slots.items():
            if slot.life is None:
                host.restart_actor(name)
                done.append(f"restarted {host.name}/{name}")
        return done


def living(host: HostLike) -> list[str]:
    """Addresses of the actors that run on a host."""
    return [f"{host.name}/{name}" for name, slot in host.slots.items() if slot.life is not None]


def _places(pairs: list[tuple[str, str]]) -> list[Place]:
    return [Place(name) for name in dict.fromkeys(name for pair in pairs for name in pair)]
