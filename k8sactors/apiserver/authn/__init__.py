"""Authentication: from the credentials of a request to the user who asks.

`authenticator` asks the methods one after the other: tokens of a file (`token_file`), of
ServiceAccounts (`service_account`, over `jwt`) and of nodes that join (`bootstrap_token`); a client
certificate is verified by the port, and its subject is the user.
"""

from __future__ import annotations
