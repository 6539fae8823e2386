"""Serving the page: from the flags to the exit code."""

from __future__ import annotations

import errno
import os
import secrets
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from typing import TextIO

import uvicorn
from starlette.types import ASGIApp

from chatapp.engines import Engine
from chatapp.errors import ChatError, LaunchError
from chatapp.events import Progress
from chatapp.flags import DEFAULT_PORT
from chatapp.loading import Loading
from chatapp.options import Options
from chatapp.stats import progress_line
from chatapp.store import open_store
from chatapp.texts import Texts
from chatapp.web.guard import Guard
from chatapp.web.hosts import Hosts, in_url, is_loopback, is_wildcard
from chatapp.web.mounting import is_closed, mounted
from chatapp.web.signin import SignIn
from chatapp.web.waiting import Waiting

PORTS_TRIED = 100
AT_ONCE = 0.5
"""Seconds in which a loading that ends is not shown on the page."""
USER = "chatapp"
"""Who signs in where no --auth says it."""
SECONDS_FOR_LINK = 40.0
"""What a slow line needs to fetch Gradio's tunnel program, once."""


def serve(options: Options) -> int:
    """Serve the page, open the model meanwhile, until Ctrl-C or SIGTERM; returns the exit code."""
    texts = Texts(options.language)
    loading: Loading | None = None
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with listen(options.server_name, options.server_port) as listener:
            loading = Loading(options.model, _progress_line(texts))
            with suppress(NotYet):  # what fails at once needs no page
                loading.engine.result(AT_ONCE)
            Site(loading, options, listener).run()
    except ChatError as error:
        _tell(sys.stderr, texts(error.sentence))
        return 1
    except KeyboardInterrupt:
        if loading is None:
            return 130
    finally:
        if loading is not None and not _closed(loading):
            os._exit(130)  # what loads cannot be stopped, and would be waited for
    return 0


def _closed(loading: Loading) -> bool:
    """Close the engine that was loaded; False where one is still loading."""
    if not loading.engine.done():
        return False
    if loading.engine.exception() is None:
        loading.engine.result().close()
    return True


def listen(name: str, port: int | None) -> socket.socket:
    """A listening socket: at the port asked for, else DEFAULT_PORT or the next free one.

    Listening before the model is loaded keeps the port ours meanwhile. Raises LaunchError.
    """
    ports = [port] if port is not None else range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED)
    for candidate in ports:
        try:
            return _listen_at(name, candidate)
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise LaunchError("page-no-interface", name=name) from error
            if error.errno != errno.EADDRINUSE:
                cause = error.strerror or type(error).__name__
                raise LaunchError("page-port-refused", port=candidate, cause=cause) from error
    if port is not None:
        raise LaunchError("page-port-taken", port=port)
    raise LaunchError("page-ports-taken", first=ports[0], last=ports[-1])


def _listen_at(name: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    found.sort(key=lambda each: each[0] != socket.AF_INET)  # localhost: 127.0.0.1 before ::1
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would let two programs share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and is_wildcard(name):
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


class Site:
    """The page at a listening socket, with the guard in front of it. Raises StoreError."""

    def __init__(self, engine: Engine | Loading, options: Options, listener: socket.socket) -> None:
        address, port = listener.getsockname()[:2]
        self._options = options
        self._texts = Texts(options.language)
        self._store = open_store(options.data_dir)
        self._listener = listener
        self._hosts = Hosts(options.server_name, port)
        self._people = dict(options.auth)
        self._guests = not self._people and (options.share or not is_loopback(address))
        if self._guests:
            self._people = {USER: secrets.token_urlsafe(16)}
        name = address if is_loopback(address) or not is_wildcard(address) else "127.0.0.1"
        self.url = f"http://{in_url(name)}:{port}"
        self._engine = engine
        self._waiting: Waiting | None = None
        self._end_answers: Callable[[], None] = lambda: None
        self._server = _Server(self._build, self._ready, lambda: self._end_answers())

    def _build(self) -> ASGIApp:
        """Runs in the server's event loop: without one Gradio would leave its own ones open."""
        sign_in = None
        if self._people:
            sign_in = SignIn(self._people, self._hosts.port, self._texts, guests=self._guests)
        self._waiting = Waiting(self._engine, self._mount, self.leave, self._texts)
        return Guard(self._waiting, self._hosts, sign_in, self._texts, is_closed)

    def _mount(self, engine: Engine) -> ASGIApp:
        app, self._end_answers = mounted(engine, self._options, self._store)
        _erase_progress()
        for notice in (*engine.notices, *self._store.notices):
            _tell(sys.stdout, self._texts(notice))
        return app

    def run(self) -> None:
        """Serve until `leave` is called or a signal comes, which is raised again at the end.

        Raises ChatError where there is no engine, or none for these options.
        """
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._store.close()
        if self._waiting is not None and self._waiting.failure is not None:
            raise self._waiting.failure

    def leave(self) -> None:
        self._server.should_exit = True

    def _ready(self) -> None:
        """The page answers: say where, and begin what may take its time."""
        self._say("page-ready", url=self.url)
        if is_wildcard(self._options.server_name):
            self._say("page-ready-network", url=f"http://{socket.gethostname()}:{self._hosts.port}")
        if self._guests:
            self._say("page-password-made", name=USER, password=self._people[USER])
        if self._options.inbrowser:
            threading.Thread(target=webbrowser.open, args=(self.url,), daemon=True).start()
        if self._options.share:
            threading.Thread(target=self._share, daemon=True).start()

    def _share(self) -> None:
        url = _public_link(self.url, self._hosts.port)
        if url is None:
            self._say("page-share-failed", url=self.url)
            return
        self._hosts.add_public(url)
        self._say("page-shared", url=url)

    def _say(self, key: str, **values: object) -> None:
        _tell(sys.stdout, self._texts(key, **values))


class _Server(uvicorn.Server):
    """Uvicorn that says when it answers, and does not wait for pages that stay open."""

    def __init__(
        self,
        build: Callable[[], ASGIApp],
        on_ready: Callable[[], None],
        on_leaving: Callable[[], None],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                build,
                factory=True,
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
                ws="none",
            )
        )
        self._on_ready = on_ready
        self._on_leaving = on_leaving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_leaving()
        for connection in list(self.server_state.connections):
            connection.transport.close()  # an open page listens to events that never end
        await super().shutdown(sockets)


def _public_link(url: str, port: int) -> str | None:
    """Gradio's tunnel to the page, or None where it cannot be had in time."""
    from gradio.networking import setup_tunnel

    found: list[str] = []

    def ask() -> None:
        try:
            found.append(setup_tunnel("127.0.0.1", port, secrets.token_urlsafe(32), None, None))
        except Exception:  # noqa: BLE001  a boundary: the network, a download, another program
            found.clear()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(SECONDS_FOR_LINK)
    return found[0] if found else None


def _progress_line(texts: Texts) -> Callable[[Progress], None]:
    """Shows how loading goes, in one line of a terminal; says nothing elsewhere."""

    def show(progress: Progress) -> None:
        done = progress.total is not None and progress.done >= progress.total
        sys.stderr.write("\r\x1b[K" + ("" if done else progress_line(progress, texts)))
        sys.stderr.flush()

    return show if sys.stderr.isatty() else lambda progress: None


def _erase_progress() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _tell(stream: TextIO, text: str) -> None:
    _erase_progress()
    print(text, file=stream, flush=True)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
