"""No module imports itself by way of others, not even for the sake of its types only."""

from __future__ import annotations

import grimp


def circles(imports: dict[str, list[str]]) -> list[list[str]]:
    """The groups of modules that reach one another (strongly connected components, Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(root: str) -> None:
        work = [(root, iter(imports.get(root, ())))]
        index[root] = low[root] = len(index)
        stack.append(root)
        while work:
            module, rest = work[-1]
            for imported in rest:
                if imported not in index:
                    index[imported] = low[imported] = len(index)
                    stack.append(imported)
                    work.append((imported, iter(imports.get(imported, ()))))
                    break
                if imported in stack:
                    low[module] = min(low[module], index[imported])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[module])
                if low[module] == index[module]:
                    group = stack[stack.index(module) :]
                    del stack[stack.index(module) :]
                    if len(group) > 1:
                        found.append(sorted(group))

    for module in sorted(imports):
        if module not in index:
            visit(module)
    return sorted(found)


def test_circles_are_found() -> None:
    imports = {"a": ["b"], "b": ["c", "d"], "c": ["a"], "d": ["e"], "e": [], "f": ["g"], "g": ["f"]}
    assert circles(imports) == [["a", "b", "c"], ["f", "g"]]
    assert circles({"a": ["b", "c"], "b": ["c"], "c": []}) == []


def test_there_is_no_circle_of_imports() -> None:
    graph = grimp.build_graph("k8sactors", "raftstore", "benches", cache_dir=None)
    imports = {
        module: sorted(graph.find_modules_directly_imported_by(module))
        for module in sorted(graph.modules)
    }
    assert len(imports) > 500
    found = circles(imports)
    assert not found, "\n".join(f"a circle: {', '.join(group)}" for group in found)
