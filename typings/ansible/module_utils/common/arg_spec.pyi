from typing import Any

class ValidationResult:
    error_messages: list[str]

class ArgumentSpecValidator:
    def __init__(
        self,
        argument_spec: dict[str, dict[str, Any]],
        mutually_exclusive: list[list[str]] | None = None,
        required_together: list[list[str]] | None = None,
        required_one_of: list[list[str]] | None = None,
        required_if: list[list[Any]] | None = None,
        required_by: dict[str, list[str]] | None = None,
    ) -> None: ...
    def validate(self, parameters: dict[str, Any]) -> ValidationResult: ...
