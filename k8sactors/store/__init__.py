"""The store as the cluster sees it: a member as an actor (`member`), a real etcd (`remote`)."""
