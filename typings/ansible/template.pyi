from collections.abc import Mapping
from typing import Any

from ansible.parsing.dataloader import DataLoader

class Templar:
    def __init__(self, loader: DataLoader | None = None, variables: Mapping[str, Any] | None = None) -> None: ...
    def template(self, variable: Any) -> Any: ...

def trust_as_template(value: str) -> str: ...
