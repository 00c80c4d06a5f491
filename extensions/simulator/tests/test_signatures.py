# SPDX-License-Identifier: GPL-3.0-or-later
"""Our signatures against those that Alibaba's SDK makes."""

from alibabacloud_tea_openapi.utils import Utils
from darabonba.request import DaraRequest
from ecs_simulator.gateway import signature_v1
from ecs_simulator.gateway.signature_v3 import parse_authorization, sign
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.text(alphabet="abcXYZ019.-_~", min_size=1, max_size=10)
PRINTABLE = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), max_size=20)


@given(
    query=st.dictionaries(NAMES, st.text(max_size=30), max_size=5),
    headers=st.dictionaries(NAMES.map(lambda name: f"x-acs-{name.lower()}"), PRINTABLE, max_size=5),
    body=st.binary(max_size=50),
    secret=PRINTABLE,
)
def test_a_signature_of_version_3_is_the_sdks(
    query: dict[str, str], headers: dict[str, str], body: bytes, secret: str
) -> None:
    request = DaraRequest()
    request.method, request.pathname, request.query = "POST", "/", query
    request.headers = {"host": "127.0.0.1:1", **headers}
    payload = Utils.hash(body, "ACS3-HMAC-SHA256").hex()
    header = Utils.get_authorization(request, "ACS3-HMAC-SHA256", payload, "the-key", secret)
    authorization = parse_authorization(header)
    assert authorization
    assert authorization.access_key_id == "the-key"
    signature = sign(
        secret=secret,
        method="POST",
        path="/",
        query=query,
        headers=request.headers,
        signed_headers=authorization.signed_headers,
        body=body,
    )
    assert signature == authorization.signature


@given(parameters=st.dictionaries(NAMES, st.text(max_size=30), max_size=5), secret=PRINTABLE)
def test_a_signature_of_version_1_is_the_sdks(parameters: dict[str, str], secret: str) -> None:
    ours = signature_v1.sign(secret=secret, method="GET", parameters=parameters)
    assert ours == Utils.get_rpcsignature(parameters, "GET", secret)


@given(st.text(max_size=100))
def test_nonsense_is_no_authorization(header: str) -> None:
    assert parse_authorization(header) is None
