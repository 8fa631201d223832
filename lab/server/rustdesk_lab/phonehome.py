"""hbbs's daily question for a newer version, so that tests can prove that it is blocked."""

from __future__ import annotations

import http.client
import json
import logging
import os
import socket
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

URL = "https://api.rustdesk.com/version/latest"
INTERVAL_S = 24 * 3600
TIMEOUT_S = 30.0
IDENTITY = Path(".config/rustdesk/RustDesk.toml")
"""The file upstream keeps in the home directory for its device fingerprint."""


def _request() -> urllib.request.Request:
    """Build the question. Upstream fills in the system and a device fingerprint; the lab server tells nothing."""
    body = {"os": "", "os_version": "", "arch": "", "device_id": [], "typ": "rustdesk-server"}
    headers = {"Content-Type": "application/json", "User-Agent": "rustdesk-lab"}
    return urllib.request.Request(URL, json.dumps(body).encode(), headers, method="POST")


def https_proxy(environ: Mapping[str, str]) -> str | None:
    """Return the proxy the environment names for https, as upstream's HTTP library finds it; an empty one is none."""
    names = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    return next((environ[name] for name in names if environ.get(name)), None)


def ask_once() -> None:
    """Ask for the latest version; a failure is logged at debug level only."""
    proxy = https_proxy(os.environ)
    handler = urllib.request.ProxyHandler({"https": proxy} if proxy else {})
    try:
        with urllib.request.build_opener(handler).open(_request(), timeout=TIMEOUT_S) as response:
            latest = str(json.load(response).get("url", "")).rsplit("/", 1)[-1]
        log.debug("latest version: %s", latest)
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
        log.debug("error sending request for url (%s): %s", URL, error)


def write_identity(home: Path) -> None:
    """Leave upstream's file in the home directory, without an identity; a failure is only logged.

    Upstream makes its identity from the network interfaces: without AF_NETLINK it writes no file and says so thrice.
    """
    path = home / IDENTITY
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()
    except OSError:
        for _ in range(3):
            log.log(logging.ERROR, "Failed to generate new id")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text("enc_id = ''\npassword = ''\nsalt = ''\nkey_confirmed = false\n", encoding="utf-8")
    except OSError:
        log.log(logging.ERROR, "Failed to store  config: Failed to create directory")


def _ask_daily() -> None:
    write_identity(Path.home())
    while True:
        ask_once()
        time.sleep(INTERVAL_S)


def start_phone_home() -> None:
    """Ask now and every 24 hours, in a thread that does not keep the process alive."""
    threading.Thread(target=_ask_daily, name="phone-home", daemon=True).start()
