# SPDX-License-Identifier: GPL-3.0-or-later
"""Identifiers in the shapes that Alibaba Cloud gives them."""

import hashlib
import random
import string
import uuid

_ALPHABET = string.digits + string.ascii_lowercase


def instance_id(seed: int, region_id: str, name: str, *, managed: bool = False) -> str:
    """The id of a fleet's instance: the same for the same seed, region and name."""
    digest = hashlib.sha256(f"{seed}/{region_id}/{name}".encode()).digest()
    number = int.from_bytes(digest, "big")
    letters = []
    for _position in range(17):
        number, rest = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[rest])
    return ("mi-hz0" if managed else "i-bp1") + "".join(letters)


class Ids:
    """Makes the ids that appear at run time: deterministic for a seed and the number of the start.

    The number of the start matters because machines keep the scripts of earlier runs, named by invocation id,
    and the agent refuses an id it has seen (facts of the real agent: ScriptFileExisted).
    """

    def __init__(self, seed: int, start: int = 1) -> None:
        self._random = random.Random(f"{seed}/{start}")

    def invocation(self) -> str:
        return "t-hz0" + self._letters(14)

    def file(self) -> str:
        """The id of a file that is sent to instances."""
        return "f-hz0" + self._letters(14)

    def command(self) -> str:
        return "c-hz0" + self._letters(14)

    def instance(self) -> str:
        return "i-bp1" + self._letters(17)

    def managed_instance(self) -> str:
        return "mi-hz0" + self._letters(17)

    def event(self) -> str:
        return "e-bp1" + self._letters(17)

    def activation(self) -> tuple[str, str]:
        """The id of an activation code, and the code."""
        return str(self.uuid()).upper(), self._letters(20)

    def request(self) -> str:
        return str(self.uuid()).upper()

    def session_key(self) -> str:
        """The id of an access key that STS gives out."""
        return "STS.N" + "".join(self._random.choices(string.ascii_letters + string.digits, k=24))

    def secret(self) -> str:
        return "".join(self._random.choices(string.ascii_letters + string.digits, k=44))

    def security_token(self) -> str:
        return "CAIS" + "".join(self._random.choices(string.ascii_letters + string.digits, k=300))

    def uuid(self) -> uuid.UUID:
        return uuid.UUID(int=self._random.getrandbits(128), version=4)

    def _letters(self, count: int) -> str:
        return "".join(self._random.choices(_ALPHABET, k=count))
