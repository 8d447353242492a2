"""A small OpenID Connect provider for tests, as a process of its own: it signs whoever asks in at once, and can be told to lie.

`python oidc_provider.py PORT ISSUER` serves discovery, keys, authorization and tokens. The form of a lie is a file `lie` in the current folder.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT, SECRET = "roe", "a-client-secret-of-good-length-000000"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
OTHER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})  # the same name and another key
CODES: dict[str, dict[str, str]] = {}


def lie() -> str:
    path = Path("lie")
    return path.read_text("utf-8") if path.exists() else ""


def id_token(issuer: str, asked: dict[str, str]) -> str:
    now, what = int(time.time()), lie()
    claims: dict[str, Any] = {
        "iss": issuer, "sub": "u1", "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"], "email": "ann@acme.test", "email_verified": True,
    }  # fmt: skip
    lies: dict[str, dict[str, Any]] = {
        "nonce": {"nonce": "another"}, "no nonce": {"nonce": None}, "audience": {"aud": "somebody-else"}, "issuer": {"iss": "http://127.0.0.1:1"},
        "expired": {"iat": now - 9000, "exp": now - 8000}, "future": {"nbf": now + 9000}, "stranger": {"email": "eve@evil.test"},
        "not verified": {"email_verified": False}, "not verified, as a text": {"email_verified": "false"}, "slash": {"iss": f"{issuer}/"},
        "no mail": {"email": None}, "several audiences": {"aud": [CLIENT, "other"]},
    }  # fmt: skip
    claims |= lies.get(what, {})
    claims = {name: value for name, value in claims.items() if value is not None}
    if what == "none":
        parts = (json.dumps(x).encode() for x in ({"alg": "none", "typ": "JWT"}, claims))
        return ".".join(base64.urlsafe_b64encode(x).rstrip(b"=").decode() for x in parts) + "."
    if what == "shared secret":
        return str(jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET)))
    return str(jwt.encode({"alg": "RS256", "kid": "one"}, claims, OTHER if what == "key" else KEY))


class Handler(BaseHTTPRequestHandler):
    issuer = ""

    def log_message(self, *_: Any) -> None:
        pass

    def send(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        if parts.path == "/.well-known/openid-configuration":
            issuer = {"name": "http://127.0.0.1:2", "slash": f"{self.issuer}/"}.get(lie(), self.issuer)
            self.send(
                {
                    "issuer": issuer, "authorization_endpoint": f"{self.issuer}/authorize", "token_endpoint": f"{self.issuer}/token",
                    "jwks_uri": f"{self.issuer}/keys", "response_types_supported": ["code"], "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                }
            )  # fmt: skip
        elif parts.path == "/keys":
            self.send({"keys": [KEY.as_dict(private=False)]})
        elif parts.path == "/authorize":
            code = secrets.token_urlsafe(16)
            CODES[code] = query
            answer = {"error": "access_denied", "state": query["state"]} if lie() == "denied" else {"code": code, "state": query["state"]}
            self.send_response(302)
            self.send_header("location", f"{query['redirect_uri']}?{urlencode(answer)}")
            self.end_headers()
        else:
            self.send({}, 404)

    def do_POST(self) -> None:
        form = {k: v[0] for k, v in parse_qs(self.rfile.read(int(self.headers["content-length"])).decode()).items()}
        given = base64.b64decode(self.headers.get("authorization", "Basic ").partition(" ")[2]).decode()
        asked = CODES.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        if (
            given != f"{CLIENT}:{SECRET}"
            or asked is None
            or challenge != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
        ):
            self.send({"error": "invalid_grant"}, 400)
            return
        self.send({"access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": id_token(self.issuer, asked)})


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Handler.issuer = f"http://127.0.0.1:{server.server_port}"
    print(Handler.issuer, flush=True)
    server.serve_forever()
