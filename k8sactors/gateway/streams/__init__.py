"""Logs, exec, attach, port-forward and proxies over HTTP.

`dispatch` takes a request for one of them; `options` reads its query. Commands speak over a
WebSocket (`websocket_command`) or SPDY (`spdy_command`), ports are forwarded over SPDY or a
WebSocket that carries SPDY (`port_forward`); `spdy_frames` are its frames, `spdy_session` its
streams. `proxying` speaks HTTP to what is behind a proxy.
"""
