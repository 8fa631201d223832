"""Makes the plugins importable the way Ansible imports them."""

from __future__ import annotations

import sys
from pathlib import Path

from ansible import module_utils

ROOT = Path(__file__).resolve().parents[2]

module_utils.__path__.append(str(ROOT / "plugins" / "module_utils"))
sys.path[:0] = [str(ROOT / "plugins" / "modules"), str(ROOT / "plugins")]
