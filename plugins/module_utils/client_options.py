# SPDX-License-Identifier: MIT
"""The options of RustDesk 1.4.9: their names, and the file each one is read from (hbb_common src/config.rs, KEYS_*).

Runs on the controller.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from ansible.module_utils.toml_merge import TomlError, decode, effective

if TYPE_CHECKING:
    from collections.abc import Mapping

ENCRYPTED = ("00", "01")
"""What encrypted values begin with (hbb_common src/password_security.rs and src/config/permanent_password.rs)."""

CHECK_UPDATE = "enable-check-update"
WITHOUT_UDP = ("allow-websocket", "disable-udp")
"""Options that keep a client from registering with the open-source server, which takes registrations over UDP only."""

UNREACHABLE = (*WITHOUT_UDP, "stop-service")
"""Options with which nobody can reach a computer: it does not register, or its service does not run."""

FILES = {
    "options": "RustDesk2.toml",
    "local_options": "RustDesk_local.toml",
    "display_options": "RustDesk_default.toml",
}
"""Variables that take any option, and the file they go to."""

PERMISSIONS = {
    "audio": "enable-audio",
    "block_input": "enable-block-input",
    "camera": "enable-camera",
    "clipboard": "enable-clipboard",
    "file_transfer": "enable-file-transfer",
    "keyboard": "enable-keyboard",
    "privacy_mode": "enable-privacy-mode",
    "record_session": "enable-record-session",
    "remote_printer": "enable-remote-printer",
    "remote_restart": "enable-remote-restart",
    "terminal": "enable-terminal",
    "tunnel": "enable-tunnel",
}
"""What a controlling side may do, under the name the role has for it."""

OWN_VARIABLES = {
    "access-mode": "access_mode",
    "allow-auto-update": "auto_update",
    "allow-remote-config-modification": "remote_configuration",
    "api-server": "api_server",
    "approve-mode": "approve_mode",
    "custom-rendezvous-server": "id_server",
    "direct-access-port": "direct_access_port",
    "direct-server": "direct_access",
    CHECK_UPDATE: "check_update",
    "enable-lan-discovery": "lan_discovery",
    "key": "key",
    "lang": "language",
    "proxy-password": "proxy_password",
    "proxy-url": "proxy_url",
    "proxy-username": "proxy_username",
    "relay-server": "relay_server",
    "verification-method": "verification_method",
    "whitelist": "whitelist",
    **dict.fromkeys(PERMISSIONS.values(), "permissions"),
}
"""Options that are not given as such."""

KNOWN = {
    "options": frozenset(
        {
            *(key for key in OWN_VARIABLES if key not in ("lang", CHECK_UPDATE)),
            *WITHOUT_UDP,
            "allow-always-software-render",
            "allow-auto-disconnect",
            "allow-auto-record-incoming",
            "allow-hide-cm",
            "allow-insecure-tls-fallback",
            "allow-linux-headless",
            "allow-numeric-one-time-password",
            "allow-only-conn-window-open",
            "allow-remove-wallpaper",
            "allow-scope-violation-alarm",
            "allow-scope-violation-close",
            "auto-disconnect-timeout",
            "enable-abr",
            "enable-android-software-encoding-half-scale",
            "enable-directx-capture",
            "enable-hwcodec",
            "enable-trusted-devices",
            "ice-servers",
            "id-whitelist",
            "keep-awake-during-incoming-sessions",
            "preset-address-book-alias",
            "preset-address-book-name",
            "preset-address-book-note",
            "preset-address-book-password",
            "preset-address-book-tag",
            "preset-device-name",
            "preset-device-username",
            "preset-note",
            "stop-service",
            "temporary-password-length",
        }
    ),
    "local_options": frozenset(
        {
            CHECK_UPDATE,
            "allow-ask-for-note",
            "allow-auto-record-outgoing",
            "allow-d3d-render",
            "allow-remote-cm-modification",
            "disable-discovery-panel",
            "disable-floating-window",
            "disable-group-panel",
            "enable-confirm-closing-tabs",
            "enable-flutter-http-on-rust",
            "enable-ipv6-punch",
            "enable-open-new-connections-in-tabs",
            "enable-udp-punch",
            "filter-ab-by-intersection",
            "hideAbTagsPanel",
            "keep-awake-during-outgoing-sessions",
            "keep-screen-on",
            "lang",
            "peer-card-ui-type",
            "peer-sorting",
            "pre-elevate-service",
            "show-virtual-joystick",
            "show-virtual-mouse",
            "sync-ab-tags",
            "sync-ab-with-recent-sessions",
            "theme",
            "use-texture-render",
            "video-save-directory",
        }
    ),
    "display_options": frozenset(
        {
            "codec-preference",
            "collapse_toolbar",
            "custom-fps",
            "custom_image_quality",
            "disable_audio",
            "disable_clipboard",
            "displays_as_individual_windows",
            "edge-scroll-edge-thickness",
            "enable-file-copy-paste",
            "follow_remote_cursor",
            "follow_remote_window",
            "i444",
            "image_quality",
            "lock_after_session_end",
            "privacy_mode",
            "reverse_mouse_wheel",
            "scroll_style",
            "show_monitors_toolbar",
            "show_quality_monitor",
            "show_remote_cursor",
            "swap-left-right-mouse",
            "sync-init-clipboard",
            "terminal-persistent",
            "touch-mode",
            "trackpad-speed",
            "use_all_my_displays_for_the_remote_session",
            "view_only",
            "view_style",
            "zoom-cursor",
        }
    ),
}
"""Names by the variable they are given with."""


def proxy_in(profile: Mapping[str, Any]) -> str:
    """Return the proxy that a profile's settings hold, "" when they hold none or cannot be read."""
    file = profile["files"].get(FILES["options"])
    if not file:
        return ""
    try:
        return effective(decode(base64.b64decode(file["content"])), "socks").get("proxy", "")
    except TomlError:
        return ""
