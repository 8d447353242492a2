"""Sign-in by OpenID Connect: the authorization code flow with PKCE, state and nonce, by Authlib.

    [oidc]
    issuer = "https://login.example.com"
    client_id = "roe"
    client_secret = "env:ROE_OIDC_SECRET"
    address = "https://roe.example.com/app"     # where the pages are; the provider sends people back to ADDRESS/sign-in/back
    claim = "email"                             # what of the identity is the `login` of a user

What a sign-in under way must know is kept for all processes and used once. Only signatures that the provider alone can make are accepted.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from roe.dynamic import JsonObject, Saved
from roe.web.app.access import digest
from roe.web.app.kept import Kept

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import OAuth2Client
    from joserfc.jwk import KeySet

KIND = "oidc"
MINUTES = 10  # in which a sign-in must end
LEEWAY = 60  # seconds that two clocks may differ
TIMEOUT = 10.0  # seconds for each request to the provider
SIGNED = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")  # by the provider's private key
LOCAL = ("localhost", "127.0.0.1", "::1")
DISCOVERY = "/.well-known/openid-configuration"


class NotSignedIn(Exception):
    """Why somebody is not signed in, in words for them."""


@dataclass(frozen=True, slots=True)
class Provider:
    issuer: str
    client_id: str
    client_secret: str
    address: str
    claim: str = "email"

    @property
    def back(self) -> str:
        """Where the provider sends people back to."""
        return f"{self.address}/sign-in/back"


def provider_of(raw: Saved) -> Provider:
    """The provider that a section `[oidc]` names. Raises ValueError for what it cannot mean."""
    names = ("issuer", "client_id", "client_secret", "address", "claim")
    if find_spec("authlib") is None:
        raise ValueError("[oidc] needs a package: pip install 'roe-policy[oidc]'")
    unknown = [name for name in raw if name not in names]
    if unknown:
        raise ValueError(f"`{unknown[0]}` is not a setting of [oidc]; there are {', '.join(names)}")
    texts = {name: raw.get(name, "email" if name == "claim" else "") for name in names}
    for name, value in texts.items():
        if not isinstance(value, str) or not value:
            raise ValueError(f"`{name}` of [oidc] is missing, or is not a text")
    for name in ("issuer", "address"):
        parts = urlsplit(texts[name])
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL):
            raise ValueError(f"`{name}` of [oidc] must be an https address")
    secret = texts["client_secret"]
    if not secret.startswith("env:"):
        raise ValueError('`client_secret` of [oidc] is in the file itself: keep it in the environment, and write "env:NAME"')
    texts["client_secret"] = os.environ.get(secret.removeprefix("env:"), "")
    if not texts["client_secret"]:
        raise ValueError(f"the environment has no {secret.removeprefix('env:')}, which `client_secret` of [oidc] names")
    return Provider(texts["issuer"].rstrip("/"), texts["client_id"], texts["client_secret"], texts["address"].rstrip("/"), texts["claim"])


class SignIn:
    """Sign-ins with one provider. What the provider says of itself is fetched when it is first needed."""

    def __init__(self, provider: Provider, logins: Kept) -> None:
        self.provider, self.kept = provider, logins
        self._metadata: JsonObject = {}
        self._keys: KeySet | None = None

    def begin(self, wanted: str) -> tuple[str, str]:
        """(the provider's address to go to, the secret of a cookie for the browser that goes there); `wanted` is the page to open at the end."""
        state, nonce, verifier, browser = (secrets.token_urlsafe(32) for _ in range(4))
        self.kept.put(KIND, state, {"nonce": nonce, "verifier": verifier, "browser": digest(browser), "next": wanted}, MINUTES * 60)
        with self._client() as client:
            url, _ = client.create_authorization_url(
                self._endpoint("authorization_endpoint"), state=state, nonce=nonce, code_verifier=verifier
            )
        return str(url), browser

    def end(self, query: Mapping[str, str], browser: str) -> tuple[str, str]:
        """(the login of whoever comes back, the page that they wanted). Raises NotSignedIn."""
        begun = self.kept.take(KIND, query.get("state", ""))
        if begun is None or not hmac.compare_digest(begun["browser"], digest(browser)):
            raise NotSignedIn("This sign-in was begun in another browser, or too long ago. Sign in again.")
        if "error" in query or not query.get("code"):
            raise NotSignedIn("The provider did not sign you in. Try again, or ask whoever runs it.")
        try:
            with self._client() as client:
                endpoint = self._endpoint("token_endpoint")
                token = client.fetch_token(endpoint, code=query["code"], grant_type="authorization_code", code_verifier=begun["verifier"])
            claims = self._claims(token, begun["nonce"])
        except NotSignedIn:
            raise
        except Exception as e:
            raise NotSignedIn(
                "The provider’s answer could not be verified. Sign in again; if it goes on, tell whoever runs this service."
            ) from e
        login = claims.get(self.provider.claim)
        if not isinstance(login, str) or not login:
            raise NotSignedIn(f"The provider says nothing of your {self.provider.claim}. Ask whoever runs this service.")
        if self.provider.claim == "email" and claims.get("email_verified") in (False, "false"):  # some providers write it as a text
            raise NotSignedIn("The provider has not verified your e-mail address.")
        return login, str(begun["next"])

    def _claims(self, token: Mapping[str, object], nonce: str) -> Saved:
        """The verified claims of an ID token: its signature, issuer, audience, times and nonce."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError

        text = token.get("id_token")
        if not isinstance(text, str):
            raise NotSignedIn("The provider did not say who you are.")
        try:
            decoded = jwt.decode(text, self._key_set(), algorithms=list(SIGNED))
        except (InvalidKeyIdError, ValueError):  # it may have new keys
            self._keys = None
            decoded = jwt.decode(text, self._key_set(), algorithms=list(SIGNED))
        issuer = self._metadata["issuer"]  # as the provider writes it: some end it with a slash
        wanted = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": self.provider.client_id}}
        params = {"nonce": nonce, "client_id": self.provider.client_id, "access_token": token.get("access_token")}
        claims = CodeIDToken(decoded.claims, decoded.header, wanted, params)
        claims.validate(leeway=LEEWAY)
        verified: Mapping[str, object] = claims
        return verified

    def _client(self) -> OAuth2Client:
        from authlib.integrations.httpx_client import OAuth2Client

        return OAuth2Client(
            self.provider.client_id, self.provider.client_secret, scope="openid email profile", redirect_uri=self.provider.back,
            code_challenge_method="S256", timeout=TIMEOUT,
        )  # fmt: skip

    def _endpoint(self, name: str) -> str:
        if not self._metadata:
            metadata = self._fetch(self.provider.issuer + DISCOVERY)
            if str(metadata.get("issuer", "")).rstrip("/") != self.provider.issuer:
                raise NotSignedIn("The provider calls itself by another name than this service expects. Tell whoever runs it.")
            self._metadata = metadata
        address = str(self._metadata.get(name, ""))
        parts = urlsplit(address)
        if parts.scheme != "https" and parts.hostname not in LOCAL:
            raise NotSignedIn("The provider names an address that is not safe. Tell whoever runs this service.")
        return address

    def _key_set(self) -> KeySet:
        from joserfc.jwk import KeySet

        if self._keys is None:
            self._keys = KeySet.import_key_set(self._fetch(self._endpoint("jwks_uri")))
        return self._keys

    def _fetch(self, url: str) -> JsonObject:
        import httpx

        try:
            answer = httpx.get(url, timeout=TIMEOUT)
            answer.raise_for_status()
            content = answer.json()
        except (httpx.HTTPError, ValueError) as e:
            raise NotSignedIn("The provider cannot be reached. Try again in a minute.") from e
        return content if isinstance(content, dict) else {}
