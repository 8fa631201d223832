from collections.abc import Mapping
from typing import Any

class ActionBase:
    TRANSFERS_FILES: bool
    _supports_check_mode: bool
    _supports_diff: bool
    _task: Any
    _connection: Any
    _templar: Any
    _loader: Any
    _play_context: Any
    _shared_loader_obj: Any

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]: ...
    def validate_argument_spec(
        self, argument_spec: Mapping[str, Mapping[str, Any]] | None = None
    ) -> tuple[Any, dict[str, Any]]: ...
    def _find_needle(self, dirname: str, needle: str) -> str: ...
    def _execute_module(
        self,
        module_name: str | None = None,
        module_args: Mapping[str, Any] | None = None,
        *,
        task_vars: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]: ...
