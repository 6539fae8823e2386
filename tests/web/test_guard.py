"""The guard: whose requests are answered, how large they may be, and what every answer carries."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlencode

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from chatapp.texts import Texts
from chatapp.web import signin
from chatapp.web.guard import LARGEST_BODY, OWNER, Guard
from chatapp.web.headers import policy
from chatapp.web.hosts import Hosts, is_loopback
from chatapp.web.signin import SignIn

TEXTS = Texts("en")
PORT = 18003
OWN = f"http://127.0.0.1:{PORT}"
SCRIPT = b"<script>window.a = 1</script>"


async def _answer(request: Request) -> Response:
    body = await request.body()
    seen = ",".join(name for name in request.headers if name.startswith("x-"))
    return PlainTextResponse(f"{request.method} {len(body)} {seen}")


async def _page(request: Request) -> Response:
    return HTMLResponse(b"<html>" + SCRIPT + b'<script src="/a.js"></script></html>')


async def _who(request: Request) -> Response:
    return PlainTextResponse(repr(request.scope[OWNER]))


async def _events(request: Request) -> Response:
    async def events() -> AsyncIterator[str]:
        for number in range(3):
            yield f"data: {number}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


APP = Starlette(
    routes=[
        Route("/page", _page),
        Route("/events", _events),
        Route("/who", _who),
        Route("/{path:path}", _answer, methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"]),
    ]
)


def guarded(*, name: str = "127.0.0.1", password: str | None = None) -> Guard:
    sign_in = SignIn({"me": password}, PORT, TEXTS) if password else None
    return Guard(APP, Hosts(name, PORT), sign_in, TEXTS)


def talk(
    guard: Guard, act: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]
) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=guard)
        async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
            return await act(client)

    return asyncio.run(run())


def get(guard: Guard, path: str = "/", **headers: str) -> httpx.Response:
    return talk(guard, lambda client: client.get(path, headers=headers))


OWN_HOSTS = ["127.0.0.1:18003", "localhost:18003", "LOCALHOST:18003", "[::1]:18003"]
FOREIGN_HOSTS = [
    "evil.test",
    "evil.test:18003",
    "127.0.0.1.evil.test:18003",
    "localhost.evil.test:18003",
    "evil-localhost:18003",
    "localhost@evil.test:18003",
    "evil.test@localhost:18003",
    "localhost",
    "localhost:18004",
    "localhost:18003.evil.test",
    "localhost:",
    "localhost:018003x",
    "localhost.:18003",
    "0.0.0.0:18003",
    "[::]:18003",
    "[::ffff:127.0.0.1]:18003",
    "2130706433:18003",
    "0x7f000001:18003",
    "0177.0.0.1:18003",
    "127.1:18003",
    "",
    "localhost:18003, evil.test",
    "localhost:18003#evil.test",
]


@pytest.mark.parametrize("host", OWN_HOSTS)
def test_the_pages_own_hosts_are_served(host: str) -> None:
    assert get(guarded(), Host=host).status_code == 200


@pytest.mark.parametrize("path", ["/", "/events", "/assets/index.js"])
@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_any_other_host_is_refused_on_every_route(host: str, path: str) -> None:
    assert get(guarded(), path, Host=host).status_code == 421


def test_a_request_with_two_hosts_or_none_is_refused() -> None:
    async def ask(hosts: list[tuple[bytes, bytes]]) -> int:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": hosts, "scheme": "http"}
        sent = []

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        await guarded()(scope, None, send)  # type: ignore[arg-type]
        return sent[0]["status"]

    own = (b"host", b"localhost:18003")
    assert asyncio.run(ask([own, (b"host", b"evil.test")])) == 421
    assert asyncio.run(ask([own, own])) == 421
    assert asyncio.run(ask([])) == 421


def test_on_all_interfaces_the_machines_own_names_count_and_no_others() -> None:
    hosts = Hosts("0.0.0.0", PORT)
    assert hosts.allows(f"{socket.gethostname()}:{PORT}")
    assert hosts.allows(f"192.0.2.7:{PORT}", "192.0.2.7")
    assert not hosts.allows(f"192.0.2.8:{PORT}", "192.0.2.7")
    assert not hosts.allows(f"evil.test:{PORT}", "192.0.2.7")
    assert not hosts.allows(f"0.0.0.0:{PORT}", "192.0.2.7")
    assert not Hosts("127.0.0.1", PORT).allows(f"192.0.2.7:{PORT}", "192.0.2.7")


def test_a_server_name_and_a_public_link_are_the_pages_own() -> None:
    hosts = Hosts("Box.lan", 80)
    assert hosts.allows("box.lan")
    assert hosts.allows("box.lan:80")
    assert not hosts.allows("abc.gradio.live")
    hosts.add_public("https://abc.gradio.live/")
    assert hosts.allows("abc.gradio.live")
    assert hosts.is_public("abc.gradio.live")


def test_loopback_addresses_are_known() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")


FOREIGN_ORIGINS = [
    "http://evil.test",
    "null",
    "http://localhost:8080",
    "http://127.0.0.1",
    "http://127.0.0.1:18003.evil.test",
    "http://evil127.0.0.1:18003",
    "ftp://127.0.0.1:18003",
    "",
]


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_a_foreign_origin_is_refused_and_never_welcomed(origin: str, method: str) -> None:
    answer = talk(guarded(), lambda c: c.request(method, "/", headers={"Origin": origin}))
    assert answer.status_code == 403
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_the_own_origin_and_none_are_served() -> None:
    assert get(guarded(), Origin=OWN).status_code == 200
    assert talk(guarded(), lambda client: client.post("/")).status_code == 200


def test_a_write_that_the_browser_marks_as_foreign_is_refused() -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert talk(guarded(), lambda c: c.post("/", headers=headers)).status_code == 403
    assert talk(guarded(), lambda c: c.get("/", headers=headers)).status_code == 200  # a link


def test_headers_that_name_another_host_do_not_get_through() -> None:
    spoofed = {"X-Forwarded-Host": "evil.test", "X-Gradio-Server": "http://evil.test", "X-Mine": ""}
    assert get(guarded(), **spoofed).text == "GET 0 x-mine"


@pytest.mark.parametrize(("path", "host"), [("/", "localhost:18003"), ("/", "evil.test")])
def test_every_answer_carries_the_security_headers(path: str, host: str) -> None:
    headers = get(guarded(), path, Host=host).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    for rule in ("default-src 'self'", "form-action 'self'", "frame-ancestors 'none'"):
        assert rule in headers["content-security-policy"]


def test_only_a_pages_own_inline_scripts_may_run() -> None:
    answer = get(guarded(), "/page")
    rules = answer.headers["content-security-policy"]
    assert rules.count("'sha256-") == 1
    assert "unsafe-inline" not in rules.split("script-src")[1]
    assert rules == policy(answer.content)
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_a_stream_is_not_held_back() -> None:
    sent: list[dict[str, object]] = []

    async def run() -> None:
        waiting = asyncio.Event()

        async def app(scope, receive, send) -> None:
            kind = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": kind})
            await send({"type": "http.response.body", "body": b"one", "more_body": True})
            await waiting.wait()

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "headers": [(b"host", b"localhost:18003")],
            "scheme": "http",
        }
        task = asyncio.create_task(
            Guard(app, Hosts("127.0.0.1", PORT), None, TEXTS)(scope, None, send)  # type: ignore[arg-type]
        )
        await asyncio.sleep(0)
        assert [message.get("body") for message in sent] == [None, b"one"]
        task.cancel()

    asyncio.run(run())


def test_a_body_that_is_too_large_is_refused_or_cut_off() -> None:
    large = b"x" * (LARGEST_BODY + 1)
    assert talk(guarded(), lambda client: client.post("/", content=large)).status_code == 413

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * (LARGEST_BODY // 2)

    async def send(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/", content=pieces())

    with pytest.raises(ClientDisconnect):  # the client is treated as gone
        talk(guarded(), send)


def test_a_websocket_is_closed() -> None:
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    asyncio.run(guarded()({"type": "websocket"}, None, send))  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/", "/assets/a.js", "/gradio_api/cancel", "/gradio_api/heartbeat/x", "/login/", "/x"]
)
def test_nothing_is_answered_to_a_stranger(method: str, path: str) -> None:
    guard = guarded(password="secret")
    answer = talk(guard, lambda client: client.request(method, path))
    assert answer.status_code == 401
    assert "GET" not in answer.text


def test_a_browser_is_shown_where_to_sign_in() -> None:
    answer = get(guarded(password="secret"), Accept="text/html")
    assert answer.status_code == 401
    assert 'type="password"' in answer.text
    assert answer.headers["cache-control"] == "no-store"


def _enter(client: httpx.AsyncClient, name: str, password: str) -> Awaitable[httpx.Response]:
    form = urlencode({"name": name, "password": password})
    return client.post(
        "/login", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )


@pytest.mark.parametrize("password", ["secret", "geheim:ß密碼 &=%"])
def test_the_right_password_gives_a_cookie_that_opens_everything(password: str) -> None:
    async def act(client: httpx.AsyncClient) -> httpx.Response:
        entered = await _enter(client, "me", password)
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "secure" not in cookie.replace("secret", "")
        return await client.get("/anything")

    assert talk(guarded(password=password), act).text == "GET 0 "


def test_over_a_public_link_the_cookie_is_for_https_only() -> None:
    guard = guarded(password="secret")
    guard._hosts.add_public("https://abc.gradio.live")

    async def act(client: httpx.AsyncClient) -> httpx.Response:
        client.headers["Host"] = "abc.gradio.live"
        return await _enter(client, "me", "secret")

    assert "secure" in talk(guard, act).headers["set-cookie"].lower()


@pytest.mark.parametrize(
    ("name", "password"),
    [("me", "wrong"), ("", ""), ("me", ""), ("m", "e:secret"), ("ME", "secret"), ("me", "s\0cret")],
)
def test_a_wrong_one_costs_time_and_opens_nothing(
    name: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signin, "WRONG_PAUSE", 0.05)
    begin = time.monotonic()
    answer = talk(guarded(password="secret"), lambda client: _enter(client, name, password))
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert time.monotonic() - begin >= 0.05


def test_many_guesses_at_once_are_turned_away_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signin, "WRONG_PAUSE", 0.02)

    async def act(client: httpx.AsyncClient) -> httpx.Response:
        guesses = [_enter(client, "me", f"guess {number}") for number in range(30)]
        answers = await asyncio.gather(*guesses)
        codes = [answer.status_code for answer in answers]
        assert codes.count(401) == signin.WAITING_ATTEMPTS
        assert codes.count(429) == 30 - signin.WAITING_ATTEMPTS
        return await _enter(client, "me", "secret")  # nobody is locked out for long

    assert talk(guarded(password="secret"), act).status_code == 303


def test_a_forged_or_foreign_cookie_opens_nothing() -> None:
    for cookie in ("chatapp-18003=", "chatapp-18003=guess", "other=1; ;;=", "chatapp-18003=\xff"):
        headers = {b"cookie": cookie.encode("latin-1")}
        answer = talk(guarded(password="secret"), lambda c, h=headers: c.get("/", headers=h))
        assert answer.status_code == 401


def test_a_form_that_is_too_large_is_refused() -> None:
    form = b"name=me&password=" + b"x" * 5000
    answer = talk(guarded(password="secret"), lambda client: client.post("/login", content=form))
    assert answer.status_code == 413


def test_without_sign_in_everything_is_the_machines_users() -> None:
    assert get(guarded(), "/who", Cookie="chatapp-guest-18003=x").text == "''"


def test_each_name_has_its_own_password_and_is_its_own_owner() -> None:
    people = SignIn({"ann": "a", "bob": "b"}, PORT, TEXTS)
    guard = Guard(APP, Hosts("127.0.0.1", PORT), people, TEXTS)

    async def act(client: httpx.AsyncClient) -> httpx.Response:
        assert (await _enter(client, "ann", "b")).status_code == 401
        assert (await _enter(client, "bob", "b")).status_code == 303
        assert (await client.get("/who")).text == "'bob'"
        client.cookies.clear()
        assert (await _enter(client, "ann", "a")).status_code == 303
        return await client.get("/who")

    assert talk(guard, act).text == "'ann'"


def guests(password: str = "shared") -> Guard:
    sign_in = SignIn({"chatapp": password}, PORT, TEXTS, guests=True)
    return Guard(APP, Hosts("127.0.0.1", PORT), sign_in, TEXTS)


def test_with_a_shared_password_every_browser_is_a_person_of_its_own() -> None:
    guard = guests()

    async def act(client: httpx.AsyncClient) -> httpx.Response:
        seen = set()
        for _ in range(3):
            client.cookies.clear()
            entered = await _enter(client, "chatapp", "shared")
            assert all("httponly" in one.lower() for one in entered.headers.get_list("set-cookie"))
            seen.add((await client.get("/who")).text)
            again = await client.get("/who")
            assert again.text in seen
        assert len(seen) == 3
        assert all(who.startswith("'guest:") and len(who) == 72 for who in seen)
        return again

    talk(guard, act)


def test_a_guest_comes_back_after_a_restart_as_the_same_person() -> None:
    found: list[str] = []

    async def first(client: httpx.AsyncClient) -> httpx.Response:
        await _enter(client, "chatapp", "shared")
        found.append(client.cookies["chatapp-guest-18003"])
        return await client.get("/who")

    async def later(client: httpx.AsyncClient) -> httpx.Response:
        client.cookies.set("chatapp-guest-18003", found[0])
        assert (await client.get("/who")).status_code == 401, "the id alone opens nothing"
        await _enter(client, "chatapp", "other")
        return await client.get("/who")

    before = talk(guests(), first)
    assert found[0] not in before.text, "only its digest is kept"
    assert talk(guests("other"), later).text == before.text


@pytest.mark.parametrize("guest", ["", "x", "a" * 42, "a" * 44, "../" + "a" * 40])
def test_a_guest_without_a_long_id_has_to_sign_in_again(guest: str) -> None:
    async def act(client: httpx.AsyncClient) -> httpx.Response:
        await _enter(client, "chatapp", "shared")
        token = client.cookies["chatapp-18003"]
        client.cookies.clear()
        cookie = f"chatapp-18003={token}; chatapp-guest-18003={guest}"
        return await client.get("/who", headers={"Cookie": cookie})

    assert talk(guests(), act).status_code == 401
