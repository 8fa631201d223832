"""A real Chromium for the tests of the page: driven from here, running in the lab's machine ``browser``.

The page is read at ``RUSTDESK_PAGE_URL``, which a scenario that publishes it sets. Without that it is rendered for the
example site and served inside the machine, with the headers of `HEADERS`.
"""

from __future__ import annotations

import base64
import importlib.resources
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

# The sites that unit tests render pages for.
sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.unit.bundle import pages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONTAINER = f"rustdesk-{os.environ.get('RUSTDESK_LAB') or 'demo'}-browser"
DRIVER_PORT = 9515
SERVED_AT = "http://localhost:8000/rd"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "clipboard-read=(), clipboard-write=(self)",
}
"""What the page is served with, and has to work with."""

_SERVER = """
import functools, http.server, json, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    def end_headers(self):
        for name, value in json.loads(sys.argv[1]).items():
            self.send_header(name, value)
        super().end_headers()
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(("localhost", 8000), functools.partial(Handler, directory="/srv/page")).serve_forever()
"""

_FETCH = """
import ssl, sys, urllib.request
unverified = ssl._create_unverified_context()
sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1], context=unverified).read())
"""

_AXE = importlib.resources.files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def driver_address() -> str:
    """Where the driver answers on this computer: the engine publishes its port on the loopback."""
    return f"http://{_docker('port', CONTAINER, str(DRIVER_PORT)).split()[0]}"


@contextmanager
def _rendered() -> Iterator[str]:
    """Serve the example site's page inside the machine."""
    with tempfile.TemporaryDirectory() as directory:
        pages.render({"gtr": pages.SITES["gtr"]}, Path(directory))
        _docker("exec", CONTAINER, "rm", "-rf", "/srv/page")
        _docker("exec", CONTAINER, "mkdir", "-p", "/srv/page")
        _docker("cp", f"{directory}/gtr", f"{CONTAINER}:/srv/page/rd")
    command = ["docker", "exec", "--interactive", CONTAINER, "python3", "-", json.dumps(HEADERS)]
    program = f"import sys\nsys.stdin.close()\n{_SERVER}"
    server = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
    assert server.stdin
    server.stdin.write(program)
    server.stdin.close()
    ask = f"import urllib.request; urllib.request.urlopen('{SERVED_AT}/de/').read()"
    for _ in range(50):
        asked = subprocess.run(["docker", "exec", CONTAINER, "python3", "-c", ask], capture_output=True, check=False)
        if asked.returncode == 0:
            break
        time.sleep(0.1)
    try:
        yield SERVED_AT
    finally:
        _docker("exec", CONTAINER, "python3", "-c", _END_SERVER)
        server.wait(10)


_END_SERVER = """
import os, pathlib, signal
for process in pathlib.Path("/proc").glob("[0-9]*"):
    if b"python3\\0-\\0" in (process / "cmdline").read_bytes():
        os.kill(int(process.name), signal.SIGTERM)
"""


@pytest.fixture(scope="session")
def page_url() -> Iterator[str]:
    """The address below which the page is, without a slash at its end."""
    published = os.environ.get("RUSTDESK_PAGE_URL")
    if published:
        yield published.rstrip("/")
    else:
        with _rendered() as served:
            yield served


@dataclass(frozen=True)
class Browser:
    """A window of Chromium at a page."""

    driver: webdriver.Remote
    url: str

    def devtools(self, command: str, **parameters: Any) -> Any:
        """Call Chromium's own protocol."""
        return self.driver.execute("executeCdpCommand", {"cmd": command, "params": parameters})["value"]

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def open(
        self, path: str, *, width: int = 1280, height: int = 900, scheme: str = "light", scripts: bool = True
    ) -> None:
        """Load a page of the site in a window of that size in pixels."""
        self.devtools("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self.devtools("Emulation.setEmulatedMedia", media="", features=features)
        # From elsewhere, as going to another place in the page that is open loads nothing.
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/{path}")

    def show_as(self, media: str) -> None:
        """Show the page as ``screen`` or ``print`` does."""
        self.devtools("Emulation.setEmulatedMedia", media=media)

    def pdf(self) -> bytes:
        """Print the page."""
        return base64.b64decode(self.devtools("Page.printToPDF", preferCSSPageSize=True)["data"])

    def source(self) -> str:
        """Return the document as it is served: Chromium does not keep one whose certificate nobody vouches for."""
        return _docker("exec", CONTAINER, "python3", "-c", _FETCH, self.driver.current_url)

    def text(self, name: str) -> str:
        """Return what the element of that id holds."""
        return str(self.run("return document.getElementById(arguments[0]).textContent;", name))

    def fill(self, name: str, value: str) -> None:
        """Put a value into a field as somebody does who types or chooses it."""
        self.run(
            "const field = document.getElementById(arguments[0]); field.value = arguments[1];"
            "field.dispatchEvent(new Event('input', {bubbles: true}));",
            name,
            value,
        )

    def wait(self, script: str, seconds: float = 5.0) -> None:
        """Wait until a script returns true."""
        WebDriverWait(self.driver, seconds, 0.05).until(lambda _driver: self.run(script))

    def pasted(self) -> str:
        """Paste the clipboard into a field, as a user does: the page itself is not allowed to read it."""
        self.run("const field = document.createElement('textarea'); document.body.append(field); field.focus();")
        self.devtools("Input.dispatchKeyEvent", type="keyDown", commands=["paste"])
        return str(self.run("const field = document.activeElement; field.remove(); return field.value;"))

    def complaints(self) -> list[str]:
        """Return what the page was refused or failed at since this was asked last."""
        entries = self.driver.execute("getLog", {"type": "browser"})["value"]
        return [str(entry["message"]) for entry in entries]

    def accessibility_faults(self) -> list[Mapping[str, Any]]:
        """Return axe's violations, each with the elements concerned."""
        self.run(_AXE)
        result = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run().then(done, (error) => done({error: String(error)}));"
        )
        assert "error" not in result, result["error"]
        return [
            {"id": fault["id"], "help": fault["help"], "nodes": [node["html"] for node in fault["nodes"]]}
            for fault in result["violations"]
        ]


@pytest.fixture(scope="session")
def chromium() -> Iterator[webdriver.Remote]:
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    options.accept_insecure_certs = True
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Remote(driver_address(), options=options)
    yield driver
    driver.quit()


@pytest.fixture
def window(chromium: webdriver.Remote, page_url: str) -> Iterator[Browser]:
    """A window, clean of what the test before left."""
    opened = Browser(chromium, page_url)
    opened.devtools("Storage.clearDataForOrigin", origin="/".join(page_url.split("/")[:3]), storageTypes="all")
    opened.complaints()
    yield opened
    opened.devtools("Emulation.setEmulatedMedia", media="")
