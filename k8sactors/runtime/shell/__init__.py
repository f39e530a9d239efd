"""A small POSIX shell: `lexer` makes tokens, `parser` a tree, `interpreter` runs it.

Lists, pipelines, redirections, variables, `$(...)`, `$((...))`, `if`, `while`, `until`, `for`,
groups, subshells and background jobs with `wait`. Without functions, `case`, here-documents and
traps. Source: POSIX.1-2024, Shell Command Language.
"""
