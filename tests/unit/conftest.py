"""Makes the plugins importable the way Ansible imports them."""

from __future__ import annotations

import sys
from pathlib import Path

from ansible import module_utils
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[2]

module_utils.__path__.append(str(ROOT / "plugins" / "module_utils"))
sys.path[:0] = [str(ROOT / "plugins" / "modules"), str(ROOT / "plugins")]

# How long an example takes says more about the machine than about the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
