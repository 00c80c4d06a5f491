# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""A file as it shall be on Linux instances, and the scripts that look whether it is and put it there.

What a file shall contain arrives in a temporary file beside it, which then takes its name: whoever reads it at that
moment reads the old file or the new one. A file of a few kilobytes travels in the script itself. A larger one arrives
in parts, as SendFile brings them, in a folder that only root can read; the script waits for them and joins them.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import shlex
from dataclasses import dataclass
from functools import cached_property

from .._sdk import limits
from .._sdk.errors import BadInput

FOLDER = "/var/lib/cloudops.alibaba/incoming"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:|\\\\")
# Linux's PATH_MAX without the null byte at its end.
_PATH_BYTES = 4095
_MODE = re.compile(r"[0-7]{3,4}")
_STATE = re.compile(r"^cloudops\.alibaba file: (same|differs|changed)$", re.MULTILINE)
_TROUBLE = re.compile(r"^cloudops\.alibaba trouble: (.*)$", re.MULTILINE)

_BEGIN = """\
#!/bin/sh
umask 077
LC_ALL=C
PATH=${PATH:-/usr/bin:/bin}:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
file=@FILE@ checksum=@CHECKSUM@ mode=@MODE@ owner=@OWNER@ group=@GROUP@
temporary=
trap 'rm -f "$temporary"' EXIT
state() { echo "cloudops.alibaba file: $1"; exit 0; }
trouble() { echo "cloudops.alibaba trouble: $1"; exit 1; }
sum_of() { sha256sum | cut -d ' ' -f 1; }
is_one_of() { [ -z "$1" ] || [ "$1" = "$2" ] || [ "$1" = "$3" ]; }
same_access() {
  is_one_of "$mode" "$(stat -c %a "$file")" &&
    is_one_of "$owner" "$(stat -c %U "$file")" "$(stat -c %u "$file")" &&
    is_one_of "$group" "$(stat -c %G "$file")" "$(stat -c %g "$file")"
}
# Owner and group before the mode: a change of the owner takes bits of the mode away.
give_access() {
  if [ -n "$owner$group" ]; then
    complaint=$(chown "$owner${group:+:$group}" "$1" 2>&1) || trouble "Its owner cannot be set: $complaint"
  fi
  complaint=$(chmod "$2" "$1" 2>&1) || trouble "Its mode cannot be set: $complaint"
}
if [ -L "$file" ]; then
  file=$(readlink -f "$file") || trouble "It is a link that leads nowhere."
fi
folder=${file%/*}
[ -d "${folder:-/}" ] || trouble "Its folder ${folder:-/} is not there."
[ ! -d "$file" ] || trouble "It is a folder."
text=differs
if [ -f "$file" ]; then
  [ "$(sum_of <"$file")" != "$checksum" ] || text=same
  if [ "$text" = same ] && same_access; then
    [ -z "@STAGE@" ] || rm -rf "@STAGE@"
    state same
  fi
fi
"""

_LOOK = "state differs\n"

# Old folders of parts are those of controllers that were ended.
_PREPARE = """\
temporary=$(mktemp "$folder/.cloudops.XXXXXX") || trouble "Its folder cannot be written to."
give_access "$temporary" 600
mkdir -p "@INCOMING@" && chmod 700 "@INCOMING@" || trouble "There is no room for it in @INCOMING@."
find "@INCOMING@" -mindepth 1 -maxdepth 1 -mtime +1 -exec rm -rf {} +
mkdir "@STAGE@" || trouble "There is no room for it in @INCOMING@."
state differs
"""

_PLACE = """\
if [ "$text" = differs ]; then
  temporary=$(mktemp "$folder/.cloudops.XXXXXX") || trouble "Its folder cannot be written to."
  fetch >"$temporary" || trouble "It cannot be written."
  [ "$(sum_of <"$temporary")" = "$checksum" ] || trouble "It did not arrive whole."
  if [ -f "$file" ]; then
    mode=${mode:-$(stat -c %a "$file")}
    owner=${owner:-$(stat -c %u "$file")}
    group=${group:-$(stat -c %g "$file")}
  fi
  give_access "$temporary" "${mode:-644}"
  mv -f "$temporary" "$file" || trouble "It cannot be put in its place."
  ! command -v restorecon >/dev/null || restorecon "$file" || :
else
  give_access "$file" "${mode:-$(stat -c %a "$file")}"
fi
[ -z "@STAGE@" ] || rm -rf "@STAGE@"
state changed
"""

_FETCH_HERE = """\
fetch() {
  base64 -d <<'PAYLOAD' | gzip -dc
@PAYLOAD@
PAYLOAD
}
"""

_FETCH_PARTS = """\
fetch() { cat "@STAGE@"/part-* | gzip -dc; }
waited=0
until [ "$(cat "@STAGE@"/part-* 2>/dev/null | sum_of)" = @PAYLOAD_CHECKSUM@ ]; do
  if [ "$waited" -ge @WAIT_S@ ]; then
    arrived=$(find "@STAGE@" -name 'part-*' | wc -l)
    rm -rf "@STAGE@"
    trouble "Only $((arrived)) of its @PARTS@ parts arrived."
  fi
  sleep 1
  waited=$((waited + 1))
done
"""


@dataclass(frozen=True)
class File:
    """What a file shall be. Without mode, owner or group it keeps those that it has; a new one is root's, 0644."""

    path: str
    content: bytes
    mode: str | int | None = None
    """Of a number it is not known how it was written: YAML makes 420 of 0644."""
    owner: str | None = None
    group: str | None = None

    def check(self) -> None:
        """Raise :class:`BadInput` for what cannot be."""
        if _WINDOWS_PATH.match(self.path):
            raise BadInput(
                f"dest is {self.path!r}, a path of Windows, and ecs_send_file puts files on instances with Linux only. "
                "Let a PowerShell script of ecs_run_command write it."
            )
        if len(self.path.encode()) > _PATH_BYTES:
            raise BadInput(f"dest has {len(self.path.encode())} bytes, and Linux takes at most {_PATH_BYTES}.")
        if not self.path.startswith("/") or self.path.endswith("/") or "\n" in self.path or "\0" in self.path:
            raise BadInput(f"dest must be the whole path of a file, such as /etc/motd, not {self.path!r}.")
        if len(self.content) > limits.FILE_BYTES:
            raise BadInput(
                f"The file is too long: {len(self.content)} bytes, and this module sends at most {limits.FILE_BYTES}. "
                "Let the instances fetch it from a bucket instead."
            )
        if self.mode is not None and not (isinstance(self.mode, str) and _MODE.fullmatch(self.mode)):
            raise BadInput(f"mode must be three or four octal digits in quotes, such as '0644', not {self.mode!r}.")
        for option, value in (("owner", self.owner), ("group", self.group)):
            if value is not None and not _NAME.fullmatch(value):
                raise BadInput(f"{option} must be a name or a number, not {value!r}.")

    @cached_property
    def payload(self) -> bytes:
        """The content as it travels; the same for the same content."""
        return gzip.compress(self.content, mtime=0)

    @property
    def parts(self) -> list[bytes]:
        """The payload, as many bytes at a time as SendFile takes."""
        size = limits.SEND_FILE_BYTES
        return [self.payload[start : start + size] for start in range(0, len(self.payload), size)]

    def script_to_look(self) -> str:
        """Tells whether the file is as it shall be, and changes nothing."""
        return self._script(_BEGIN + _LOOK)

    def script_with_payload(self) -> str:
        """Puts the file in its place, all by itself."""
        payload = base64.encodebytes(self.payload).decode().rstrip()
        return self._script(_BEGIN + _FETCH_HERE + _PLACE).replace("@PAYLOAD@", payload)

    def script_to_prepare(self, stage: str) -> str:
        """Tells whether the file is as it shall be; if not, finds out whether it can be, and makes room for parts."""
        return self._script(_BEGIN + _PREPARE, stage)

    def script_to_assemble(self, stage: str, wait_s: int) -> str:
        """Waits for the parts and puts the file in its place."""
        script = self._script(_BEGIN + _FETCH_PARTS + _PLACE, stage)
        checksum = hashlib.sha256(self.payload).hexdigest()
        for mark, value in (("PAYLOAD_CHECKSUM", checksum), ("WAIT_S", wait_s), ("PARTS", len(self.parts))):
            script = script.replace(f"@{mark}@", str(value))
        return script

    def _script(self, template: str, stage: str = "") -> str:
        values = {
            "FILE": shlex.quote(self.path),
            "CHECKSUM": hashlib.sha256(self.content).hexdigest(),
            "MODE": format(int(str(self.mode), 8), "o") if self.mode else "''",
            "OWNER": self.owner or "''",
            "GROUP": self.group or "''",
            "STAGE": stage,
            "INCOMING": FOLDER,
        }
        return re.sub("@([A-Z]+)@", lambda mark: values.get(mark[1], mark[0]), template)


def read_state(output: str) -> str | None:
    """What a script tells of the file, ``same``, ``differs`` or ``changed``; None when it tells nothing."""
    states = _STATE.findall(output)
    return states[-1] if states else None


def read_trouble(output: str) -> str | None:
    """Why a script could not do its work, in its own words."""
    troubles = _TROUBLE.findall(output)
    return troubles[-1] if troubles else None
