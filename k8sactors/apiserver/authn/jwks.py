"""Public keys of an issuer of tokens (RFC 7517), and signatures by them (RFC 7518)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, Final

from k8sactors.apiserver.authn.jwt import TOKEN_MAX_BYTES
from k8sactors.apiserver.errors import InvalidTokenError, OidcConfigurationError

# As in the real server (`--oidc-signing-algs`).
ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "ES256",
    "ES384",
    "ES512",
    "PS256",
    "PS384",
    "PS512",
)
_CURVES: Final = {"P-256": "SECP256R1", "P-384": "SECP384R1", "P-521": "SECP521R1"}
_CURVE_OF: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_BITS_PER_BYTE: Final = 8


class KeySet:
    """The keys with which an issuer signs. `cryptography` is loaded when a key set is read."""

    def __init__(self, keys: Sequence[dict[str, Any]]) -> None:
        self._keys = [(each, _public_key(each)) for each in keys]

    @classmethod
    def read(cls, text: str) -> KeySet:
        """The key set in a document.

        Raises:
            OidcConfigurationError: it holds none.
        """
        try:
            keys = json.loads(text)["keys"]
            return cls([key for key in keys if key.get("use", "sig") == "sig"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OidcConfigurationError("no key set (RFC 7517) with public keys") from error

    def verify(self, token: str, algorithms: Sequence[str]) -> dict[str, Any]:
        """The claims of a token that one of the keys has signed.

        Raises:
            InvalidTokenError: none has, or not by one of the algorithms.
        """
        if len(token) > TOKEN_MAX_BYTES:
            raise InvalidTokenError("the token is too long")
        signed, _, signature = token.rpartition(".")
        head, _, body = signed.partition(".")
        header, claims = _json(head), _json(body)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in algorithms:
            raise InvalidTokenError("the token is signed by an algorithm that is not accepted")
        for described, key in self._keys:
            wanted = header.get("kid")
            if wanted is not None and described.get("kid") not in {None, wanted}:
                continue
            if described.get("alg", algorithm) == algorithm and _matches(
                key, algorithm, described, signed.encode(), _decode(signature)
            ):
                return claims
        raise InvalidTokenError("the signature of the token is invalid")


def _public_key(described: dict[str, Any]) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415 - loaded late

    if described["kty"] == "RSA":
        return rsa.RSAPublicNumbers(_number(described["e"]), _number(described["n"])).public_key()
    curve = getattr(ec, _CURVES[described["crv"]])()
    numbers = ec.EllipticCurvePublicNumbers(_number(described["x"]), _number(described["y"]), curve)
    return numbers.public_key()


def _matches(
    key: Any, algorithm: str, described: dict[str, Any], data: bytes, signature: bytes
) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - loaded late
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric import ec, padding, utils  # noqa: PLC0415

    digest = getattr(hashes, f"SHA{algorithm[2:]}")()
    elliptic = algorithm.startswith("ES")
    if elliptic != (described["kty"] == "EC"):
        return False
    try:
        if elliptic:
            size = (key.curve.key_size + _BITS_PER_BYTE - 1) // _BITS_PER_BYTE
            if described["crv"] != _CURVE_OF[algorithm] or len(signature) != 2 * size:
                return False
            r, s = (int.from_bytes(part, "big") for part in (signature[:size], signature[size:]))
            key.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(digest))
        elif algorithm.startswith("PS"):
            salted = padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
            key.verify(signature, data, salted, digest)
        else:
            key.verify(signature, data, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True


def _number(text: str) -> int:
    return int.from_bytes(_decode(text), "big")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise InvalidTokenError("the token is not in base64") from error


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(_decode(text))
    except (ValueError, RecursionError) as error:
        raise InvalidTokenError("the token holds no JSON") from error
    if not isinstance(value, dict):
        raise InvalidTokenError("the token holds no claims")
    return value
