"""Options of a command line, as getopt(3) reads them."""

from __future__ import annotations

from collections.abc import Collection


def split(
    args: list[str], with_value: Collection[str] = (), *, numbers: str = ""
) -> tuple[dict[str, str], list[str]]:
    """Options by letter or long name, and operands.

    `with_value` names the options that take one; `numbers` is the option that `-5` stands for.
    """
    options: dict[str, str] = {}
    operands: list[str] = []
    rest = list(args)
    while rest:
        arg = rest.pop(0)
        if arg == "--":
            operands += rest
            break
        if arg.startswith("--"):
            name, equals, value = arg[2:].partition("=")
            options[name] = value if equals or name not in with_value else (rest or [""]).pop(0)
            if not equals and name in with_value and rest:
                rest.pop(0)
        elif numbers and len(arg) > 1 and arg[0] == "-" and arg[1:].isdecimal():
            options[numbers] = arg[1:]
        elif len(arg) > 1 and arg.startswith("-"):
            _letters(arg[1:], with_value, options, rest)
        else:
            operands.append(arg)
    return options, operands


def _letters(
    letters: str, with_value: Collection[str], options: dict[str, str], rest: list[str]
) -> None:
    for place, letter in enumerate(letters):
        if letter in with_value:
            value = letters[place + 1 :]
            options[letter] = value or (rest.pop(0) if rest else "")
            return
        options[letter] = ""
