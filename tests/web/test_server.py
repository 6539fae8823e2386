"""From the flags to the exit code: ports, what is printed when, and leaving."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from chatapp.engines.scripted import ScriptedEngine
from chatapp.errors import LaunchError
from chatapp.flags import DEFAULT_PORT
from chatapp.options import parse
from chatapp.texts import Texts
from chatapp.web import server
from chatapp.web.server import Site, listen

ROOT = Path(__file__).parents[2]
SOON = 30.0
SCRIPTED = ("--engine", "scripted")


def start(*flags: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "web_demo.py", *flags],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def page(*flags: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running program and the first line it printed."""
    with start(*SCRIPTED, *flags, **environment) as program:
        try:
            assert program.stdout
            assert select.select([program.stdout], [], [], SOON)[0], "nothing was printed"
            yield program, program.stdout.readline()
        finally:
            program.kill()


def address(line: str) -> str:
    found = re.search(r"http://\S+", line)
    assert found, line
    return found[0]


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_help_answers_at_once_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from chatapp.web import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print({'gradio', 'torch', 'uvicorn'} & set(sys.modules))"
    )
    begin = time.monotonic()
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert said.stdout.endswith("set()\n")
    assert "--server-port" in said.stdout
    assert time.monotonic() - begin < 10  # 0.15 s where nothing else runs


def test_a_taken_port_is_one_sentence_before_the_model_is_loaded(taken: int) -> None:
    with start("-c", "no/such/model", "--server-port", str(taken)) as program:
        output, errors = program.communicate(timeout=SOON)
    assert program.returncode == 1
    assert output == ""
    assert errors == Texts("en")("page-port-taken", port=taken) + "\n"
    assert "--server-port" in errors


def test_a_model_that_cannot_be_loaded_is_one_sentence() -> None:
    with start("-c", "/no/such/model", "--server-port", str(free_port())) as program:
        output, errors = program.communicate(timeout=SOON)
    assert program.returncode == 1
    assert output == ""
    assert errors.count("\n") == 1
    assert "/no/such/model" in errors


@pytest.mark.parametrize("name", ["192.0.2.1", "no-such-host.invalid"])
def test_an_interface_that_is_not_here_is_one_sentence(name: str) -> None:
    with pytest.raises(LaunchError, match="--server-name"):
        listen(name, 0)


def test_without_a_port_the_default_or_the_next_free_one_is_taken() -> None:
    with listen("127.0.0.1", None) as first, listen("127.0.0.1", None) as second:
        ports = [first.getsockname()[1], second.getsockname()[1]]
    assert DEFAULT_PORT <= ports[0] < ports[1] < DEFAULT_PORT + server.PORTS_TRIED


def test_when_no_port_is_free_that_is_said(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    monkeypatch.setattr(server, "DEFAULT_PORT", taken)
    monkeypatch.setattr(server, "PORTS_TRIED", 1)
    with pytest.raises(LaunchError, match="all taken"):
        listen("127.0.0.1", None)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_address_answers_once_it_is_printed_and_leaving_is_prompt(how: int) -> None:
    port = free_port()
    with page("--server-port", str(port)) as (program, line):
        url = address(line)
        assert url == f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert client.get("/").status_code == 200
            with client.stream("GET", "/gradio_api/heartbeat/somebody") as heartbeat:
                assert heartbeat.status_code == 200
                begin = time.monotonic()
                program.send_signal(how)
                output, errors = program.communicate(timeout=SOON)
        assert time.monotonic() - begin < 10, "an open page holds a stream that never ends"
        assert (program.returncode, output, errors) == (0, "", "")
        with listen("127.0.0.1", port):
            pass  # the port is free again


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_while_a_model_loads_the_page_answers_and_leaving_is_prompt(
    how: int, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a hub that never answers
        hub = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"}
        flags = ("-c", "hf:some/tiny", "--server-port", str(free_port()))
        with start(*flags, **environment) as program:
            try:
                assert program.stdout
                url = address(program.stdout.readline())
                with httpx.Client(base_url=url, trust_env=False) as client:
                    shown = client.get("/loading").json()
                    assert shown == {"ready": False, "line": "downloading"}
                    assert "<p id" in client.get("/").text
                begin = time.monotonic()
                program.send_signal(how)
                output, errors = program.communicate(timeout=SOON)
            finally:
                program.kill()
        assert time.monotonic() - begin < 2
        assert (program.returncode, output, errors) == (130, "", "")


def test_gradios_variables_do_not_overrule_the_flags() -> None:
    port = free_port()
    environment = {
        "GRADIO_SHARE": "true",
        "GRADIO_SERVER_NAME": "0.0.0.0",
        "GRADIO_SERVER_PORT": "1",
        "GRADIO_ROOT_PATH": "/elsewhere",
        "GRADIO_ALLOWED_PATHS": "/etc",
        "GRADIO_ANALYTICS_ENABLED": "True",
    }
    with page("--server-port", str(port), **environment) as (_, line):
        url = address(line)
        with httpx.Client(base_url=url, trust_env=False) as client:
            shown = client.get("/").text
            assert f'"root":"{url}"' in shown
            assert '"analytics_enabled":false' in shown
            assert client.get("/gradio_api/file=/etc/hostname").status_code in (403, 404)
        listening = Path("/proc/net/tcp").read_text().splitlines()
        own = [line.split()[1] for line in listening if line.split()[1].endswith(f":{port:04X}")]
        assert all(local.startswith("0100007F") for local in own)


def test_what_people_write_is_not_printed() -> None:
    with page("--server-port", str(free_port())) as (program, line):
        url = address(line)
        with httpx.Client(base_url=url, trust_env=False) as client:
            config = client.get("/config").json()
            ask = config["dependencies"][0]
            values = {each["id"]: each["props"].get("value") for each in config["components"]}
            data = [values[number] for number in ask["inputs"]]
            data[1] = "CANARY"
            wakes = [
                each["id"]
                for each in config["dependencies"]
                if any(event == "change" for _, event in each["targets"])
            ]
            for path, number, sent in (
                ("run/predict", ask["id"], data),
                ("queue/join", wakes[-1], [""]),
            ):
                request = {"data": sent, "fn_index": number, "session_hash": "somebody"}
                assert client.post(f"/gradio_api/{path}", json=request).status_code == 200
            with client.stream("GET", "/gradio_api/queue/data?session_hash=somebody") as events:
                assert any("CANARY" in line for line in events.iter_lines())
            client.get("/CANARY")
        program.send_signal(signal.SIGINT)
        output, errors = program.communicate(timeout=SOON)
    assert (output, errors) == ("", "")


@contextmanager
def site(*flags: str) -> Iterator[Site]:
    options = parse(["--lang", "en", *flags], "web")
    with listen(options.server_name, 0) as listener, closing(ScriptedEngine()) as engine:
        site = Site(engine, options, listener)
        thread = threading.Thread(target=site.run)
        thread.start()
        try:
            yield site
        finally:
            site.leave()
            thread.join(SOON)
            assert not thread.is_alive()


def eventually_printed(capsys: pytest.CaptureFixture[str], pattern: str) -> re.Match[str]:
    printed, until = "", time.monotonic() + SOON
    while not (found := re.search(pattern, printed)):
        assert time.monotonic() < until, printed
        time.sleep(0.02)
        printed += capsys.readouterr().out
    return found


def test_on_another_interface_a_password_is_made_and_asked_for_everywhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with site("--server-name", "0.0.0.0") as running:
        found = eventually_printed(capsys, r"Sign in as (\S+) with the password (\S{20,})")
        routes = _routes(running)
        assert "/gradio_api/queue/join" in routes
        with httpx.Client(base_url=running.url, trust_env=False) as client:
            for path in [*routes, "/", "/gradio_api/cancel", "/gradio_api/reset"]:
                path = re.sub(r"\{.*?\}", "x", path)
                for method in ("GET", "POST"):
                    if (method, path) != ("POST", "/login"):
                        assert client.request(method, path).status_code == 401, path
            form = {"name": found[1], "password": found[2]}
            assert client.post("/login", data=form).status_code == 303
            assert client.get("/").status_code == 200
            refused = client.get("/", headers={"Host": "evil.test"})
            assert refused.status_code == 421


def _routes(running: Site) -> list[str]:
    """All paths that Gradio answers, its included routers' too."""
    return list(running._server.config.loaded_app._app._app.routes[-1].app.openapi()["paths"])


def test_what_no_page_asks_for_is_closed() -> None:
    with site() as running, httpx.Client(base_url=running.url, trust_env=False) as client:
        closed = [
            "upload",
            "file=/etc/hostname",
            "proxy=http://x",
            "vibe-edit",
            "deep_link",
            "runs",
        ]
        for path in closed:
            for method in ("GET", "POST"):
                assert client.request(method, f"/gradio_api/{path}").status_code == 404
        assert client.get("/").status_code == 200
        assert client.get("/monitoring").status_code in (403, 404)


def test_a_given_password_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with site("--auth", "me:hunter2secret") as running:
        eventually_printed(capsys, "The page is at")
        assert httpx.get(running.url, trust_env=False).status_code == 401
    assert "hunter2secret" not in "".join(capsys.readouterr())


def test_a_link_that_cannot_be_had_is_said_and_the_page_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import gradio.networking

    def unreachable(*_: object) -> str:
        time.sleep(0.3)
        raise RuntimeError("no network")

    monkeypatch.setattr(gradio.networking, "setup_tunnel", unreachable)
    with site("--share") as running:
        eventually_printed(capsys, "The page is at")  # before the link is asked for
        assert httpx.get(running.url, trust_env=False).status_code == 401
        eventually_printed(capsys, "no public link")
        assert httpx.get(running.url, trust_env=False).status_code == 401


def test_a_link_that_hangs_is_given_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import gradio.networking

    hanging = threading.Event()
    monkeypatch.setattr(gradio.networking, "setup_tunnel", lambda *_: hanging.wait(SOON) and "")
    monkeypatch.setattr(server, "SECONDS_FOR_LINK", 0.1)
    with site("--share"):
        eventually_printed(capsys, "no public link")
        hanging.set()


def test_a_public_link_is_served_under_its_own_host_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import gradio.networking

    link = "https://abc.gradio.live"
    monkeypatch.setattr(gradio.networking, "setup_tunnel", lambda *_: link)
    with site("--share") as running:
        eventually_printed(capsys, link)
        for host, status in (("abc.gradio.live", 401), ("other.gradio.live", 421)):
            answer = httpx.get(running.url, headers={"Host": host}, trust_env=False)
            assert answer.status_code == status


def test_the_browser_is_opened_where_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(server.webbrowser, "open", opened.append)
    with site("--inbrowser") as running:
        eventually_printed(capsys, "The page is at")
        until = time.monotonic() + SOON
        while not opened and time.monotonic() < until:
            time.sleep(0.01)
        assert opened == [running.url]


def test_an_installed_wheel_brings_its_assets(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for part in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE"):
        if (ROOT / part).exists():
            source.mkdir(exist_ok=True)
            (source / part).write_bytes((ROOT / part).read_bytes())
    for folder in ("chatapp", "assets"):
        (source / folder).symlink_to(ROOT / folder)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    built = subprocess.run(
        [*command, "-q", "-w", str(tmp_path), str(source)], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    code = (
        f"import sys; sys.path.insert(0, {str(wheel)!r}); import zipfile\n"
        f"print(sorted(zipfile.ZipFile({str(wheel)!r}).namelist()))"
    )
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    for name in ("page.css", "logo.svg"):
        assert f"'chatapp/assets/{name}'" in names
