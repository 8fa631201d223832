"""hbbs's daily question for a newer version, so that tests can prove that it is blocked."""

from __future__ import annotations

import http.client
import json
import logging
import threading
import time
import urllib.request

log = logging.getLogger(__name__)

URL = "https://api.rustdesk.com/version/latest"
INTERVAL_S = 24 * 3600
TIMEOUT_S = 30.0


def _request() -> urllib.request.Request:
    """Build the question. Upstream fills in the system and a device fingerprint; the lab server tells nothing."""
    body = {"os": "", "os_version": "", "arch": "", "device_id": [], "typ": "rustdesk-server"}
    headers = {"Content-Type": "application/json", "User-Agent": "rustdesk-lab"}
    return urllib.request.Request(URL, json.dumps(body).encode(), headers, method="POST")


def proxies() -> dict[str, str]:
    """Return the proxies the environment names; ``ALL_PROXY`` stands in for a missing ``HTTPS_PROXY``."""
    found = urllib.request.getproxies_environment()
    if "all" in found:
        found.setdefault("https", found["all"])
    return found


def ask_once() -> None:
    """Ask for the latest version; a failure is logged at debug level only."""
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies()))
        with opener.open(_request(), timeout=TIMEOUT_S) as response:
            latest = str(json.load(response).get("url", "")).rsplit("/", 1)[-1]
        log.debug("latest version: %s", latest)
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
        log.debug("version check failed: %s", error)


def _ask_daily() -> None:
    while True:
        ask_once()
        time.sleep(INTERVAL_S)


def start_phone_home() -> None:
    """Ask now and every 24 hours, in a thread that does not keep the process alive."""
    threading.Thread(target=_ask_daily, name="phone-home", daemon=True).start()
