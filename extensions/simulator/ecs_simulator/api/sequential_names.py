# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of instances that are made together: ``web-[1,3]`` is web-001, web-002 …"""

import re

# "name_prefix[begin_number,bits]name_suffix" (SDK docstring of RunInstancesRequest and the page it names): both numbers
# may be left out, which means from 0 and six digits.
_PATTERN = re.compile(r"(?P<prefix>.*)\[(?P<begin>[0-9]{0,6}),(?P<digits>[1-6]?)\](?P<suffix>.*)", re.DOTALL)
_SUFFIX_DIGITS = 3


def sequential_names(text: str, amount: int, *, unique_suffix: bool) -> list[str]:
    """One name for each instance.

    Numbered if ``text`` says how; or from 001 on with ``unique_suffix``, which does nothing to one that is numbered
    already; or all the same.
    """
    match = _PATTERN.fullmatch(text)
    if match:
        begin, digits = int(match["begin"] or 0), int(match["digits"] or 6)
        return [f"{match['prefix']}{number:0{digits}d}{match['suffix']}" for number in range(begin, begin + amount)]
    if unique_suffix and amount > 1:
        return [f"{text}{number:0{_SUFFIX_DIGITS}d}" for number in range(1, amount + 1)]
    return [text] * amount
