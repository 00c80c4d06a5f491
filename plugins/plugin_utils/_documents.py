# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Reading and writing reports and plans."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from ansible.errors import AnsibleActionFail


def read_document(path: str, key: str) -> dict[str, Any]:
    """A document of ours, which has a key of that name; raises OSError, or ValueError when it is something else."""
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    if not isinstance(document, dict) or key not in document:
        raise ValueError(f"{path} has no {key}")
    return document


def write_document(path: str, document: dict[str, Any]) -> None:
    """Write a document as JSON whole or not at all; its folder is made if need be."""
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".document-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2, ensure_ascii=False)
            file.write("\n")
        os.replace(temporary, path)
    except OSError as error:
        raise AnsibleActionFail(f"dest: cannot write {path}: {error.strerror}") from error
