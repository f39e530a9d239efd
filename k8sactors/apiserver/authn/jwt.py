"""JSON Web Tokens (RFC 7515, RFC 7519), signed with ES256 or RS256 and in the compact form only.

The algorithm follows from the key, never from the token. `cryptography` is loaded with the first
key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any, Final

from k8sactors.apiserver.errors import InvalidTokenError

_COORDINATE_BYTES: Final = 32
# No token of a server is longer; a longer one is not looked at.
TOKEN_MAX_BYTES: Final = 16 * 1024


class SigningKey:
    """A private key; equal to no other, and nothing that prints it shows it."""

    __slots__ = ("_key", "_public", "algorithm", "key_id")

    def __init__(self, key: Any) -> None:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - loaded late
        from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415 - see above

        if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
            self.algorithm = "ES256"
        elif isinstance(key, rsa.RSAPrivateKey):
            self.algorithm = "RS256"
        else:
            raise InvalidTokenError("a key for tokens is an RSA key, or one of the curve P-256")
        self._key = key
        self._public = key.public_key()
        der = self._public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key_id = _encode(hashlib.sha256(der).digest())

    def __repr__(self) -> str:
        """The name of the key, which is public."""
        return f"<SigningKey {self.algorithm} {self.key_id}>"

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key that cannot be guessed."""
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - loaded late

        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def derived(cls, random: Any) -> SigningKey:
        """The key that follows from a random stream: for simulations, whose seed is no secret."""
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - loaded late

        return cls(ec.derive_private_key(random.getrandbits(255) + 1, ec.SECP256R1()))

    @classmethod
    def from_pem(cls, data: bytes) -> SigningKey:
        """The key in a file.

        Raises:
            InvalidTokenError: it holds none of a kind that can be used.
        """
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - loaded late

        try:
            key = serialization.load_pem_private_key(data, None)
        except (ValueError, TypeError) as error:
            raise InvalidTokenError("no private key in PEM form") from error
        return cls(key)

    def to_pem(self) -> bytes:
        """The key as it is kept in a file."""
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - loaded late

        data: bytes = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return data

    def sign(self, claims: dict[str, Any]) -> str:
        """A token with these claims; equal claims give equal tokens."""
        header = {"alg": self.algorithm, "kid": self.key_id}
        signed = f"{_encode_json(header)}.{_encode_json(claims)}"
        return f"{signed}.{_encode(self._signature(signed.encode()))}"

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a token that this key has signed.

        Raises:
            InvalidTokenError: it has not, or this is no token.
        """
        if len(token) > TOKEN_MAX_BYTES:
            raise InvalidTokenError("the token is too long")
        signed, _, signature = token.rpartition(".")
        head, _, body = signed.partition(".")
        header, claims = _decode_json(head), _decode_json(body)
        if header.get("alg") != self.algorithm:
            raise InvalidTokenError("the token is signed in another way")
        if not self._matches(signed.encode(), _decode(signature)):
            raise InvalidTokenError("the signature of the token is invalid")
        return claims

    def public_jwk(self) -> dict[str, Any]:
        """The public key as a JSON Web Key (RFC 7517)."""
        numbers = self._public.public_numbers()
        shared = {"use": "sig", "kid": self.key_id, "alg": self.algorithm}
        if self.algorithm == "ES256":
            x, y = (_encode(n.to_bytes(_COORDINATE_BYTES, "big")) for n in (numbers.x, numbers.y))
            return {**shared, "kty": "EC", "crv": "P-256", "x": x, "y": y}
        return {
            **shared,
            "kty": "RSA",
            "n": _encode_number(numbers.n),
            "e": _encode_number(numbers.e),
        }

    def _signature(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - loaded late
        from cryptography.hazmat.primitives.asymmetric import ec, padding, utils  # noqa: PLC0415

        if self.algorithm == "RS256":
            signature: bytes = self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())
            return signature
        algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        r, s = utils.decode_dss_signature(self._key.sign(data, algorithm))
        return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")

    def _matches(self, data: bytes, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - loaded late
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - see above
        from cryptography.hazmat.primitives.asymmetric import ec, padding, utils  # noqa: PLC0415

        try:
            if self.algorithm == "RS256":
                self._public.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
                return True
            if len(signature) != 2 * _COORDINATE_BYTES:
                return False
            r = int.from_bytes(signature[:_COORDINATE_BYTES], "big")
            s = int.from_bytes(signature[_COORDINATE_BYTES:], "big")
            encoded = utils.encode_dss_signature(r, s)
            self._public.verify(encoded, data, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


def looks_signed(token: str) -> bool:
    """Whether a token has the form of a signed one: three parts."""
    return token.count(".") == 2  # noqa: PLR2004 - header, claims, signature


def unverified_issuer(token: str) -> str:
    """The issuer that a token names; "": none.

    Raises:
        InvalidTokenError: this is no token.
    """
    issuer = _decode_json(token.split(".")[1]).get("iss")
    return issuer if isinstance(issuer, str) else ""


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _encode_number(number: int) -> str:
    return _encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _encode_json(value: dict[str, Any]) -> str:
    return _encode(json.dumps(value, separators=(",", ":"), sort_keys=True).encode())


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise InvalidTokenError("the token is not in base64") from error


def _decode_json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(_decode(text))
    except (ValueError, RecursionError) as error:
        raise InvalidTokenError("the token holds no JSON") from error
    if not isinstance(value, dict):
        raise InvalidTokenError("the token holds no claims")
    return value
