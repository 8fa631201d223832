from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

class AnsibleModule:
    argument_spec: dict[str, dict[str, Any]]
    params: dict[str, Any]
    check_mode: bool
    no_log_values: set[str]
    tmpdir: str
    _diff: bool

    def __init__(
        self,
        argument_spec: Mapping[str, Mapping[str, Any]],
        *,
        mutually_exclusive: Sequence[Sequence[str]] | None = None,
        required_together: Sequence[Sequence[str]] | None = None,
        required_one_of: Sequence[Sequence[str]] | None = None,
        required_if: Sequence[Sequence[Any]] | None = None,
        required_by: Mapping[str, str | Sequence[str]] | None = None,
        add_file_common_args: bool = False,
        supports_check_mode: bool = False,
    ) -> None: ...
    def exit_json(self, *, changed: bool = False, **result: Any) -> NoReturn: ...
    def fail_json(self, msg: str, **result: Any) -> NoReturn: ...
    def warn(self, warning: str) -> None: ...
    def log(self, msg: str) -> None: ...
    def debug(self, msg: str) -> None: ...
    def get_bin_path(self, arg: str, required: bool = False, opt_dirs: Sequence[str] | None = None) -> str | None: ...
    def run_command(
        self,
        args: str | Sequence[str],
        check_rc: bool = False,
        *,
        data: str | bytes | None = None,
        binary_data: bool = False,
        cwd: str | None = None,
        environ_update: Mapping[str, str] | None = None,
        umask: int | None = None,
        handle_exceptions: bool = True,
    ) -> tuple[int, str, str]: ...
    def sha256(self, filename: str) -> str | None: ...
    def atomic_move(self, src: str, dest: str, unsafe_writes: bool = False) -> None: ...
    def add_cleanup_file(self, path: str) -> None: ...
    def load_file_common_arguments(self, params: Mapping[str, Any], path: str | None = None) -> dict[str, Any]: ...
    def set_fs_attributes_if_different(
        self,
        file_args: Mapping[str, Any],
        changed: bool,
        diff: dict[str, Any] | None = None,
        expand: bool = True,
    ) -> bool: ...
