# Access tokens of the broker for Python's httpx clients: fetched with the agent's key, renewed before they expire.
import time
import uuid

import jwt  # PyJWT with cryptography: both come with the package `mcp`


class TokenFlow:
    """Mix into the `Auth` class of the httpx that your framework uses."""

    requires_response_body = True

    def __init__(self, url: str, agent: str, key_pem: str, run_token: str | None = None):
        self._url, self._agent, self._key, self._run_token = url, agent, key_pem, run_token
        self._token, self._renew_at = "", 0.0

    def auth_flow(self, request):
        if time.monotonic() >= self._renew_at:
            answer = yield type(request)("POST", f"{self._url}/oauth/token", data=self._form())
            answer.raise_for_status()
            body = answer.json()
            self._token = body["access_token"]
            self._renew_at = time.monotonic() + body["expires_in"] * 0.8
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request

    def _form(self) -> dict[str, str]:
        now = int(time.time())
        claims = {"iss": self._agent, "sub": self._agent, "aud": self._url, "iat": now, "exp": now + 60}
        claims["jti"] = str(uuid.uuid4())
        form = {
            "grant_type": "client_credentials",
            "client_id": self._agent,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(claims, self._key, algorithm="EdDSA"),
            "resource": f"{self._url}/mcp",
        }
        return form if self._run_token is None else {**form, "run_token": self._run_token}
