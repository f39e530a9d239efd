"""Members in processes of their own: the network between them, over TCP.

`protocol` says what is on the wire, `link` is the sending end, `network` joins them to a member.
"""
