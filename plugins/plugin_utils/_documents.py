# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Reading and writing reports and plans."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()


class DocumentAction(ActionBase):
    """An action in Ansible's own process, once for all hosts: it shows a table and writes a document."""

    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _supports_check_mode = True

    def _publish(self, lines: list[str], document: dict[str, Any], name: str, folder: str | None) -> dict[str, str]:
        """Show the lines, and write NAME.json into the folder, if there is one; where it is, under its name."""
        for line in ["", *lines, ""]:
            display.display(line)
        if not folder:
            return {}
        path = os.path.join(folder, f"{name}.json")
        if not self._task.check_mode:
            write_document(path, document)
        return {name: path}


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
        raise AnsibleActionFail(f"dest (patch_hosts_report_dir): cannot write {path}: {error.strerror}") from None
