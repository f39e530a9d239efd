"""What servers do whose programs are not modelled: they answer HTTP on every port.

nginx and httpd answer with their own first page and write an access log; any other image says who
it is. A server that is known to speak something else takes a connection and says nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from fnmatch import fnmatchcase
from typing import Final

import attrs

from k8sactors.api.meta import format_time
from k8sactors.runtime.pipes import PIPE_BYTES, BrokenPipe, Pipe
from k8sactors.runtime.process import Process

HEAD_BYTES: Final = 16 << 10
BODY_BYTES: Final = 4 << 20
_PHRASES: Final = {200: "OK", 400: "Bad Request", 404: "Not Found", 413: "Content Too Large"}
_NGINX_PAGE: Final = (
    b"<!DOCTYPE html>\n<html>\n<head>\n<title>Welcome to nginx!</title>\n</head>\n<body>\n"
    b"<h1>Welcome to nginx!</h1>\n<p>If you see this page, the nginx web server is successfully "
    b"installed and\nworking.</p>\n</body>\n</html>\n"
)
_HTTPD_PAGE: Final = b"<html><body><h1>It works!</h1></body></html>\n"
_NGINX_START: Final = (
    "/docker-entrypoint.sh: Configuration complete; ready for start up",
    "[notice] 1#1: start worker processes",
)


@attrs.frozen
class ServerImage:
    """How the server of an image shows itself."""

    pattern: str
    # The files that it serves; "": it makes its answers itself.
    root: str = ""
    page: bytes = b""
    banner: tuple[str, ...] = ()
    # Whether it speaks HTTP at all.
    http: bool = True


SERVER_IMAGES: Final = (
    ServerImage("*nginx*:*", "/usr/share/nginx/html", _NGINX_PAGE, _NGINX_START),
    ServerImage("*httpd:*", "/usr/local/apache2/htdocs", _HTTPD_PAGE, ("httpd -D FOREGROUND",)),
    *(
        ServerImage(f"*{name}*:*", http=False)
        for name in ("redis", "memcached", "postgres", "mysql", "mongo", "rabbitmq")
    ),
    ServerImage("*"),
)


@attrs.frozen
class Request:
    """An HTTP request."""

    method: str
    target: str
    version: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@attrs.frozen
class Response:
    """An HTTP answer."""

    status: int
    body: bytes
    content_type: str = "text/plain"


Handler = Callable[[Request], Response | Awaitable[Response]]


def server_image(name: str) -> ServerImage:
    """The server that an image (with its tag) holds."""
    return next(each for each in SERVER_IMAGES if fnmatchcase(name, each.pattern))


async def read_request(received: Pipe) -> Request | None:
    """The next request of a connection; None: there is none, or it is malformed."""
    lines: list[str] = []
    size = 0
    while True:
        line = await received.read_line()
        size += len(line)
        if not line.endswith(b"\n") or size > HEAD_BYTES:
            return None
        text = line.decode("latin-1").strip()
        if not text:
            if lines:
                break
            continue
        lines.append(text)
    words = lines[0].split()
    if len(words) != 3:  # noqa: PLR2004 - method, target, version
        return None
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines[1:])
    }
    body = b""
    length = headers.get("content-length", "0")
    if length.isdecimal() and 0 < int(length) <= BODY_BYTES:
        while len(body) < int(length):
            part = await received.read(min(int(length) - len(body), PIPE_BYTES))
            if not part:
                return None
            body += part
    return Request(words[0], words[1], words[2], headers, body)


async def serve_http(received: Pipe, sent: Pipe, handler: Handler) -> int:
    """Answer the requests of one connection."""
    try:
        while (request := await read_request(received)) is not None:
            answer = handler(request)
            response = answer if isinstance(answer, Response) else await answer
            keeps = request.version == "HTTP/1.1"
            keeps = keeps and request.headers.get("connection", "").lower() != "close"
            head = (
                f"HTTP/1.1 {response.status} {_PHRASES.get(response.status, '')}\r\n"
                f"content-type: {response.content_type}\r\n"
                f"content-length: {len(response.body)}\r\n"
                f"connection: {'keep-alive' if keeps else 'close'}\r\n\r\n"
            )
            body = b"" if request.method == "HEAD" else response.body
            await sent.write(head.encode() + body)
            if not keeps:
                break
    except BrokenPipe:
        return 0
    finally:
        sent.end()
    return 0


class DefaultServer:
    """The server of an image, in one of its containers; `text` says which one it is."""

    def __init__(self, process: Process, image: ServerImage, text: str) -> None:
        self._process = process
        self._image = image
        self._text = text

    async def run(self) -> None:
        """What it writes when it starts."""
        for line in self._image.banner:
            await self._process.stderr.write(f"{line}\n".encode())

    async def connected(self, received: Pipe, sent: Pipe) -> int:
        """Serve one connection."""
        if not self._image.http:
            while await received.read():
                pass
            sent.end()
            return 0
        return await serve_http(received, sent, self._answer)

    async def _answer(self, request: Request) -> Response:
        response = self._response(request)
        now = format_time(self._process.now_ns)
        line = f"{request.method} {request.target} {request.version}"
        agent = request.headers.get("user-agent", "-")
        text = f'[{now}] "{line}" {response.status} {len(response.body)} "{agent}"\n'
        await self._process.stdout.write(text.encode())
        return response

    def _response(self, request: Request) -> Response:
        image, files = self._image, self._process.files
        if not image.root:
            return Response(200, self._text.encode())
        path = files.absolute(request.path.lstrip("/"), image.root)
        if files.is_directory(path):
            path = path.rstrip("/") + "/index.html"
        if not path.startswith(image.root) or not files.exists(path) or files.is_directory(path):
            return Response(404, b"<html><h1>404 Not Found</h1></html>\n", "text/html")
        content_type = "text/html" if path.endswith(".html") else "application/octet-stream"
        return Response(200, files.read(path), content_type)
