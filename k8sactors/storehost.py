"""The store member as an actor: a raftstore member on a host of the fabric."""
