"""Tokens that are written down in a file (`--token-auth-file`).

Each line is `token,user,uid` and maybe a list of groups in quotes: `t1,alice,u1,"devs,ops"`.
Source: documentation of authentication, "Static token file".
"""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import Final

import attrs

from k8sactors.api.user import UserInfo
from k8sactors.apiserver.errors import TokenFileError

_FIELDS_MIN: Final = 3


@attrs.frozen
class StaticTokens:
    """Users by their tokens; only hashes of these are kept."""

    _users: dict[bytes, UserInfo] = attrs.field(factory=dict, repr=False)

    @classmethod
    def of(cls, users: dict[str, UserInfo]) -> StaticTokens:
        """These users by these tokens."""
        return cls({_digest(token): user for token, user in users.items()})

    @classmethod
    def read(cls, path: Path) -> StaticTokens:
        """The tokens of a file.

        Raises:
            TokenFileError: it cannot be read, or a line is malformed; the text names the line, and
                shows nothing of it.
        """
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.reader(file, skipinitialspace=True))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not CSV in UTF-8"
            raise TokenFileError(f"{path}: {reason}") from None
        users: dict[str, UserInfo] = {}
        for number, row in enumerate(rows, start=1):
            if not row or row[0].startswith("#"):
                continue
            if len(row) < _FIELDS_MIN or not row[0] or not row[1]:
                text = "expected at least 3 columns (token, user name, user uid)"
                raise TokenFileError(f"{path}:{number}: {text}, found {len(row)}")
            groups = row[3].split(",") if len(row) > _FIELDS_MIN else []
            known = tuple(filter(None, (group.strip() for group in groups)))
            users[row[0]] = UserInfo(row[1], row[2], known)
        return cls.of(users)

    def user_of(self, token: str) -> UserInfo | None:
        """The user of a token; None: it is not in the file."""
        return self._users.get(_digest(token))


def _digest(token: str) -> bytes:
    # By its hash: how long a look-up takes tells nothing of the token.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
