"""``win_get_url``, and the fetching it has in common with ``win_package``: plain HTTP, as the lab serves it."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from windows_lab.errors import NotModelledError, Refused

if TYPE_CHECKING:
    from windows_lab.call import Call, Result

REMEDY = "Ensure download destination folder exists (perhaps using win_file state=directory) before win_get_url runs."
WEB_OPTIONS = ("url_timeout", "use_proxy", "validate_certs", "follow_redirects", "http_agent")


def fetch(call: Call, url: str) -> bytes:
    """What is at an address. Raises Refused in the module's words."""
    import urllib.error  # noqa: PLC0415  # slow to load, and rarely wanted
    import urllib.request  # noqa: PLC0415

    if not url.lower().startswith("http://"):
        raise NotModelledError(f"a download from {url.split(':', 1)[0]} (only http)")
    asked = urllib.request.Request(url, headers={"User-Agent": call["http_agent"]})  # noqa: S310  # http, see above
    try:
        with urllib.request.urlopen(asked, timeout=call["url_timeout"]) as answer:  # noqa: S310
            content: bytes = answer.read()
    except urllib.error.HTTPError as error:
        msg = f"The remote server returned an error: ({error.code}) {error.reason}."
        raise Refused(msg) from None
    except OSError as error:
        msg = f"Unable to connect to the remote server ({error})"
        raise Refused(msg) from None
    return content


def win_get_url(call: Call) -> Result:
    """A file from the web."""
    call.refuse_unmodelled("url", "dest", "force", "checksum", "checksum_algorithm", *WEB_OPTIONS)
    url, item = call["url"], call.path("dest")
    drive = call.machine.drive
    if item.is_folder:
        rest = url.split("//", 1)[1]
        item = drive.child(item, rest.rstrip("/").rsplit("/", 1)[-1] if "/" in rest.rstrip("/") else rest)
    elif call["dest"].endswith(("\\", "/")):
        msg = f"The destination path '{call['dest']}' does not exist, or is not visible to the current user. {REMEDY}"
        raise Refused(msg)
    result: Result = {"url": url, "dest": item.path, "elapsed": 0.0}
    algorithm = call["checksum_algorithm"]
    wanted = (call["checksum"] or "").strip().lower()
    known = item.checksum(algorithm) if item.is_file else None
    if known is not None and not call["force"]:
        if not wanted:
            raise NotModelledError("win_get_url with force: false and no checksum, which compares dates")
        if known == wanted:
            return {**result, "checksum_dest": known, "size": item.size}
    if not drive.parent(item).is_folder:
        msg = (
            f"The path '{drive.parent(item).path.rstrip(chr(92))}' does not exist for destination '{item.path}', "
            f"or is not visible to the current user. {REMEDY}"
        )
        raise Refused(msg)
    began = time.monotonic()
    try:
        content = fetch(call, url)
    except Refused as error:
        msg = f"Error downloading '{url}' to '{item.path}': {error}"
        raise Refused(msg) from None
    digest = hashlib.new(algorithm, content).hexdigest()
    result |= {"elapsed": time.monotonic() - began, "checksum_src": digest, "status_code": 200, "msg": "OK"}
    if wanted and wanted != digest:
        msg = f"The checksum for {url} did not match '{wanted}', it was '{digest}'"
        raise Refused(msg)
    if digest != known:
        result["changed"] = True
        if not call.check:
            from windows_lab.modules.files import write  # noqa: PLC0415  # only when there is something to write

            write(call.machine, item, content)
            known = digest
    return {**result, "checksum_dest": known, "size": item.size} if known is not None else result
