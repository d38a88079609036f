"""Microsoft Entra's token endpoint and AWS STS's GetWebIdentityToken on this machine, until standard input ends.

Usage: entra_server.py [CERTIFICATE KEY]

Prints the endpoint in one line. With a certificate and its key (PEM), the same is served over TLS too, at the address that GET
/control names. Who is known and what goes wrong is the state that POST /control sets (a JSON object, merged into it); GET /control
tells what was asked. What is refused is repeated in the refusal, as a careless server would.

Requests of STS must be signed with the key pair test/test: the signature is computed anew by botocore.
"""

import base64
import hashlib
import hmac
import http.server
import json
import ssl
import sys
import threading
import time
import urllib.parse
import uuid

import botocore.auth
import botocore.awsrequest
import botocore.credentials
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SCOPES = {"https://eventhubs.azure.net/.default", "https://storage.azure.com/.default"}
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TRACE = "99999999-8888-7777-6666-555555555555"
ROLE_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

LOCK = threading.Lock()
STATE = {
    "tenant": "11111111-1111-1111-1111-111111111111",
    # Application id: {"secrets": [...], "expired": [...], "federated": {"issuer", "subject", "audience"}}
    "applications": {},
    # Seconds that a token lives, and the key that it is signed with (HS256).
    "life": 3600,
    "key": "entra-key",
    # The next answers: {"status", "code"} as a refusal, {"kind": "redirect" | "huge" | "html" | "cut"}.
    "next": [],
    "pause_s": 0,
    "sts": {
        "refuse": None,
        "issuer": "https://22222222-2222-2222-2222-222222222222.tokens.sts.global.api.aws",
        "subject": "arn:aws:iam::123456789012:role/tributary-processor",
        "valid_s": None,
    },
}
ASKED = {"tokens": 0, "issued": 0, "assertions": 0, "clients": [], "scopes": [], "https": None}


def encode(data: bytes | dict) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Refused(Exception):
    def __init__(self, code: int, why: str, status: int = 401):
        self.code, self.why, self.status = code, why, status


def form(body: bytes) -> dict[str, str]:
    pairs = urllib.parse.parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True)
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Refused(900144, "a parameter stands twice", 400)
    return fields


def check_assertion(token: str, known: dict | None) -> None:
    try:
        header, claims, signature = token.split(".")
        ROLE_KEY.public_key().verify(
            decode(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        header, claims = json.loads(decode(header)), json.loads(decode(claims))
    except (ValueError, InvalidSignature):
        raise Refused(700027, "the assertion's signature is wrong") from None
    if header["alg"] != "RS256":
        raise Refused(5002738, "the algorithm is not supported")
    if not claims["nbf"] <= time.time() < claims["exp"]:
        raise Refused(700024, f"the assertion is not within its time: {token}")
    if known is None:
        raise Refused(70021, "no matching federated identity record")
    for name, claim, code in (("issuer", "iss", 700211), ("audience", "aud", 700212), ("subject", "sub", 700213)):
        if claims[claim] != known[name]:
            raise Refused(code, f"no matching federated identity record found for presented assertion {name} of {token}")


def token(tenant: str, content_type: str, body: bytes) -> dict:
    if content_type != "application/x-www-form-urlencoded":
        raise Refused(900144, "the body is no form", 400)
    fields = form(body)
    client, scope = fields.pop("client_id", ""), fields.pop("scope", "")
    ASKED["clients"].append(client)
    ASKED["scopes"].append(scope)
    if tenant != STATE["tenant"]:
        raise Refused(90002, f"tenant {tenant} not found", 400)
    if fields.pop("grant_type", "") != "client_credentials":
        raise Refused(70003, "the grant type is not supported", 400)
    if scope not in SCOPES:
        raise Refused(500011, f"the resource principal of {scope} was not found", 400)
    application = STATE["applications"].get(client)
    if application is None:
        raise Refused(700016, f"application {client} was not found", 400)
    secret = fields.pop("client_secret", None)
    kind, assertion = fields.pop("client_assertion_type", None), fields.pop("client_assertion", None)
    if fields:
        raise Refused(900144, f"unknown parameters {sorted(fields)}", 400)
    if secret is not None and assertion is None:
        if secret in application.get("expired", []):
            raise Refused(7000222, f"the provided client secret keys are expired: {secret}")
        if secret not in application.get("secrets", []):
            raise Refused(7000215, f"invalid client secret provided: {secret}")
    elif assertion is not None and secret is None and kind == ASSERTION_TYPE:
        check_assertion(assertion, application.get("federated"))
    else:
        raise Refused(7000218, "the request must contain client_assertion or client_secret")
    now, life = int(time.time()), STATE["life"]
    claims = {
        "iss": f"https://sts.windows.net/{tenant}/",
        "aud": scope.removesuffix("/.default"),
        "appid": client,
        "iat": now,
        "nbf": now,
        # Whole seconds: never before the client thinks.
        "exp": now + life + 1,
        "jti": str(uuid.uuid4()),
    }
    signed = f"{encode({'alg': 'HS256', 'typ': 'JWT'})}.{encode(claims)}"
    signature = hmac.new(STATE["key"].encode(), signed.encode(), hashlib.sha256).digest()
    ASKED["issued"] += 1
    return {"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": f"{signed}.{encode(signature)}"}


def is_signed(path: str, headers, body: bytes) -> bool:
    scheme, _, fields = (headers.get("authorization") or "").partition(" ")
    fields = dict(field.strip().split("=", 1) for field in fields.split(",") if "=" in field)
    try:
        key, day, region, service, _ = fields["Credential"].split("/")
        names = fields["SignedHeaders"].split(";")
    except (KeyError, ValueError):
        return False
    if (scheme, key, service) != ("AWS4-HMAC-SHA256", "test", "sts") or "host" not in names:
        return False
    request = botocore.awsrequest.AWSRequest("POST", f"http://{headers['host']}{path}", data=body)
    for name in names:
        request.headers[name] = headers.get(name)
    request.context["timestamp"] = headers["x-amz-date"]
    signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials("test", "test"), "sts", region)
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    return hmac.compare_digest(signer.signature(to_sign, request), fields["Signature"]) and day == headers["x-amz-date"][:8]


def xml_error(status: int, code: str, message: str) -> tuple[int, str]:
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return status, f'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">{error}</ErrorResponse>'


def web_identity_token(path: str, headers, body: bytes) -> tuple[int, str]:
    ASKED["assertions"] += 1
    if not is_signed(path, headers, body):
        return xml_error(403, "SignatureDoesNotMatch", "the request's signature does not match")
    fields = form(body)
    if fields.pop("Action", "") != "GetWebIdentityToken" or fields.pop("Version", "") != "2011-06-15":
        return xml_error(400, "InvalidAction", "only GetWebIdentityToken is known")
    if STATE["sts"]["refuse"]:
        return xml_error(403, STATE["sts"]["refuse"], "not here")
    if fields.pop("SigningAlgorithm", "") != "RS256":
        return xml_error(400, "ValidationError", "SigningAlgorithm")
    duration, audience = int(fields.pop("DurationSeconds", "300")), fields.pop("Audience.member.1", "")
    if not 60 <= duration <= 3600 or not audience or fields:
        return xml_error(400, "ValidationError", "DurationSeconds, Audience or something unknown")
    now = int(time.time())
    ends = now + (STATE["sts"]["valid_s"] or duration)
    claims = {"iss": STATE["sts"]["issuer"], "sub": STATE["sts"]["subject"], "aud": audience, "nbf": now, "exp": ends}
    signed = f"{encode({'alg': 'RS256', 'typ': 'JWT', 'kid': 'RSA_0'})}.{encode(claims)}"
    signature = ROLE_KEY.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))
    return 200, (
        '<GetWebIdentityTokenResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetWebIdentityTokenResult>'
        f"<WebIdentityToken>{signed}.{encode(signature)}</WebIdentityToken><Expiration>{expiration}</Expiration>"
        "</GetWebIdentityTokenResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetWebIdentityTokenResponse>"
    )


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status: int, body: str, content_type: str = "application/json", **headers: str) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        with LOCK:
            self.answer(200, json.dumps(ASKED))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/control":
            with LOCK:
                for name, value in json.loads(body).items():
                    STATE[name] = STATE[name] | value if name == "sts" else value
                self.answer(200, "{}")
        elif self.path.endswith("/oauth2/v2.0/token"):
            time.sleep(STATE["pause_s"])
            with LOCK:
                self.entra(self.path.split("/")[1], body)
        else:
            with LOCK:
                self.answer(*web_identity_token(self.path, self.headers, body), content_type="text/xml")

    def entra(self, tenant: str, body: bytes) -> None:
        ASKED["tokens"] += 1
        order = STATE["next"].pop(0) if STATE["next"] else {}
        match order.get("kind"):
            case "redirect":
                return self.answer(307, "", location=self.path)
            case "huge":
                return self.answer(200, json.dumps({"access_token": "x" * 1_000_000}))
            case "html":
                return self.answer(200, "<html>sign in</html>", "text/html")
            case "cut":
                self.close_connection = True
                return None
        try:
            if order:
                raise Refused(order.get("code", 0), f"as ordered: {body.decode()}", order["status"])
            self.answer(200, json.dumps(token(tenant, self.headers.get("content-type", ""), body)))
        except Refused as refused:
            answer = {
                "error": "invalid_client",
                "error_description": f"AADSTS{refused.code}: {refused.why}\r\nTrace ID: {TRACE}",
                "error_codes": [refused.code],
                "trace_id": TRACE,
            }
            self.answer(refused.status, json.dumps(answer))


def serve(context: ssl.SSLContext | None) -> str:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"


def main() -> None:
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        ASKED["https"] = serve(context)
    print(serve(None), flush=True)
    sys.stdin.read()


main()
