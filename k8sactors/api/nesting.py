"""How deep a text nests, found before a parser reads it.

Parsers have limits of their own, which change with their versions: libyaml looks ahead a whole line
for a key and refuses brackets in it that nest too deep, before it has told of the first one;
Python's JSON reader stops where the stack of that Python ends. So brackets are counted here by a
scan that knows as much of the two notations as is needed to tell a bracket from text: quotes,
comments, plain scalars and block scalars. What a text holds otherwise is the parser's business.
"""

from __future__ import annotations

import re

MAX_DEPTH = 100
"""Far more than any object needs. Deeper nesting would exhaust the stack or the message codec."""

MAX_SIZE_BYTES = 32 << 20
"""The largest file that is read, ten times what an API server takes in one request."""

_QUOTED = r""" "(?:[^"\\]|\\.)*" | '(?:[^']|'')*' """

_IN_BLOCK = re.compile(
    rf"""
      (?P<space>   [^\S\n]+ | \#[^\n]* )
    | (?P<line>    \n )
    | (?P<entry>   [-?](?=\s|\Z) )
    | (?P<mark>    : (?=\s|\Z) | ---(?=\s|\Z) | \.\.\.(?=\s|\Z) )
    | (?P<tag>     [&*!]\S* )
    | (?P<open>    [\[{{] )
    | (?P<literal> [|>][-+0-9]*[^\S\n]*(?:\#[^\n]*)?(?=\n|\Z) )
    | (?P<quoted>  {_QUOTED} )
    | (?P<plain>   \S(?: [^\s:#] | :(?=\S) | (?<=\S)\# | [ \t]+(?=[^\s#:]|:\S) )* )
    """,
    re.VERBOSE | re.DOTALL,
)

_IN_FLOW = re.compile(
    rf"""
      (?P<space>   \s+ | \#[^\n]* | , | [?:](?=[\s,\[\]{{}}]|\Z) | [&*!][^\s,\[\]{{}}]* )
    | (?P<open>    [\[{{] )
    | (?P<close>   [\]}}] )
    | (?P<quoted>  (?:{_QUOTED}):? )
    | (?P<plain>   [^\s,\[\]{{}}]
        (?: [^\s,\[\]{{}}:#] | :(?=[^\s,\[\]{{}}]) | (?<=\S)\#
          | \s+(?=[^\s,\[\]{{}}:#]|:[^\s,\[\]{{}}]) )* )
    """,
    re.VERBOSE | re.DOTALL,
)

_KEY_FOLLOWS = re.compile(r"[ \t]*:(?=\s|\Z)")
_INDENTED_LINE = re.compile(r"\n( *)([^\n]*)")
_JSON_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def check_json_depth(data: bytes) -> None:
    """Refuse a JSON text whose lists and objects nest deeper than `MAX_DEPTH` levels.

    Raises:
        ValueError: they do, as for any text that is no JSON.
    """
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for token in _JSON_TOKEN.findall(data):
        if token in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
        elif token in b"]}":
            depth -= 1


def deep_yaml_brackets(text: str, limit: int = MAX_DEPTH) -> int | None:
    """The offset of the first bracket of a YAML text inside `limit` others; None: there is none.

    Nesting by indentation does not count: a parser reports that level by level.
    """
    if text.count("[") + text.count("{") <= limit:
        return None
    return _Scan(text, limit).run()


class _Scan:
    """A walk through the tokens of a text."""

    def __init__(self, text: str, limit: int) -> None:
        self._text = text
        self._limit = limit
        self._place = 0
        self._line_start = 0
        # The column of the list item or key whose value is being read; -1 at the root.
        self._parent = -1
        # Where the tag or anchor before a key began.
        self._tag: int | None = None

    def run(self) -> int | None:
        while self._place < len(self._text):
            token = _IN_BLOCK.match(self._text, self._place)
            if token is None:
                return None
            if token.lastgroup == "open":
                deep = self._flow()
                if deep is not None:
                    return deep
                continue
            self._place = token.end()
            self._block(token)
        return None

    def _block(self, token: re.Match[str]) -> None:
        """Follow one token outside brackets."""
        column = token.start() - self._line_start
        match token.lastgroup:
            case "line":
                self._line_start, self._tag = token.end(), None
            case "entry":
                self._parent, self._tag = column, None
            case "mark":
                if token[0] != ":":
                    self._parent = -1
            case "tag":
                self._tag = column if self._tag is None else self._tag
            case "literal":
                self._skip_lines()
            case "quoted" | "plain":
                if _KEY_FOLLOWS.match(self._text, self._place):
                    self._parent = column if self._tag is None else self._tag
                elif token.lastgroup == "plain":
                    self._skip_lines()
                else:
                    self._line_start = self._text.rfind("\n", 0, self._place) + 1
                self._tag = None

    def _skip_lines(self) -> None:
        """Skip the lines that continue a block scalar or a plain one: those indented deeper."""
        while line := _INDENTED_LINE.match(self._text, self._place):
            indent, rest = len(line[1]), line[2]
            ends = indent <= self._parent or (indent == 0 and rest.startswith(("---", "...")))
            if ends and rest.strip():
                return
            self._place = line.end()
            self._line_start = line.start() + 1

    def _flow(self) -> int | None:
        """Walk to the bracket that closes the one at hand."""
        depth = 0
        while self._place < len(self._text):
            token = _IN_FLOW.match(self._text, self._place)
            if token is None:
                break
            if token.lastgroup == "open":
                depth += 1
                if depth > self._limit:
                    return token.start()
            self._place = token.end()
            if token.lastgroup == "close":
                depth -= 1
                if depth <= 0:
                    break
        self._line_start = self._text.rfind("\n", 0, self._place) + 1
        return None
