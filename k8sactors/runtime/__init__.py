"""Container runtimes: the simulated containerd behind the messages of `cri`.

`container_runtime` is the actor, `engine` the part without messages; `images` and `programs` say
when a container ends, and where it listens. What is inside of a container is run when a client
looks: `container_process` has its processes (`tasks`, `process`, `commands`, `shell`, `servers`),
files and log; `streaming` carries logs, commands and connections. `image_registry` takes programs
of users.
"""
