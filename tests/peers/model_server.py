"""Security Hub, CloudTrail Lake's channels and Security Lake's custom sources on this machine, until standard input ends.

Prints the endpoint in one line. What no other server of the tests has is here by AWS's own description: a request is

- signed (SigV4) for the service that it is sent to, in a region; the signature is verified for the key `test`;
- judged by botocore's service model, as `aws_forms.py` does: unknown members, required ones, types, enumerations, patterns,
  sizes and documented lengths; a finding and an event by what the user guides say beyond it;
- within what the models lack: 6 MB, 240 KB a finding, ten calls a second with a burst of 30; 1 MB, 256 KB an event.

Findings are stored by Id, a later UpdatedAt replaces an earlier one; events by id. A custom source is a name and a version.

GET  /_state   what was accepted, and every call: operation, region, key, token, status, code, entries, bytes
POST /_faults  what shall go wrong; each member replaces the one before, `null` ends it:
               reject     {"ID": "CODE"}  entries that are refused with this code (`InternalError`, `Throttling`: for now)
               times      {"ID": N}       how often that is said of the entry; always without
               throttle   N   the next N calls are answered 429
               errors     N   the next N calls are answered 500
               cut        N   the next N calls are accepted, and their connection cut before the answer
               delay_ms   N   every answer waits
               deny       true   AccessDeniedException for all
               disabled   true   Security Hub is not enabled in the account
               closed     true   CloudTrail Lake takes nothing from the account
               no_lake    true   Security Lake is not enabled
               busy_ms    N   a change of custom sources takes this long, and another meanwhile is a conflict
               ready_ms   N   a new source is listed after this long
POST /_reset   nothing stored, nothing wrong
"""

import datetime
import http.server
import json
import re
import sys
import threading
import time
import urllib.parse
import uuid

import aws_forms
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.session

SECRETS = {"test": "test"}
ACCOUNT = "123456789012"
SERVICES = ("securityhub", "cloudtrail-data", "securitylake")
IMPLEMENTED = ("BatchImportFindings", "PutAuditEvents", "CreateCustomLogSource", "DeleteCustomLogSource", "ListLogSources")
MAX_IMPORT = 6_000_000
MAX_PUT = 1_000_000
RATE, BURST = 10, 30
# Clocks of both ends: a call that left in time is in time.
SLACK = 1.0
MAX_SOURCES = 50
CLOSED = (
    "AWS CloudTrail Lake is no longer open to new customers. Existing customers can continue to use the service as normal."
)


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Judge(aws_forms.Judge):
    """Requests of one operation by the model, also where members are in the path or the query."""

    def __init__(self, service, operation):
        super().__init__(service, operation)
        model = self.model.operation_model(operation)
        path = model.http["requestUri"].split("?")[0]
        self.service, self.name, self.method = service, operation, model.http["method"]
        self.signing_name = self.model.signing_name
        self.path = re.compile(re.sub(r"\{(\w+)\+?\}", r"(?P<\1>[^/]+)", path))
        self.places = {
            name: (shape.serialization.get("location", "body"), shape.serialization.get("name", name))
            for name, shape in self.input.members.items()
        }

    def parameters(self, found, query, body):
        """The request's members, wherever they stand."""
        parameters = dict(body)
        for name, (place, written) in self.places.items():
            if place == "uri":
                parameters[name] = urllib.parse.unquote(found[written])
            elif place == "querystring" and written in query:
                parameters[name] = query[written]
        return parameters


class Service:
    def __init__(self):
        self.lock = threading.RLock()
        self.judges = [Judge(service, name) for service in SERVICES for name in self.operations(service)]
        self.reset()

    @staticmethod
    def operations(service):
        model = botocore.session.get_session().get_service_model(service)
        return [name for name in model.operation_names if name in IMPLEMENTED]

    def reset(self):
        with self.lock:
            self.findings, self.events, self.sources, self.calls = {}, {}, {}, []
            self.faults = {}
            self.tokens, self.then = float(BURST), time.monotonic()
            self.busy_until = 0.0

    def state(self):
        with self.lock:
            return {
                "findings": self.findings,
                "auditEvents": self.events,
                "sources": [source["resource"] for source in self.sources.values()],
                "calls": self.calls,
            }

    def fault(self, changes):
        with self.lock:
            for name, value in changes.items():
                if value is None:
                    self.faults.pop(name, None)
                else:
                    self.faults[name] = value

    def once(self, name):
        """Whether a fault that is counted is due."""
        left = self.faults.get(name, 0)
        if left:
            self.faults[name] = left - 1
        return left > 0

    def rejected(self, entry):
        """The code that this entry is refused with, if it is."""
        code = self.faults.get("reject", {}).get(entry)
        times = self.faults.get("times", {})
        if code is not None and entry in times:
            if times[entry] <= 0:
                return None
            times[entry] -= 1
        return code

    def call(self, method, path, query, headers, raw, note):
        """The answer to a request."""
        signed = signature(method, path, query, headers, raw)
        note |= {"region": signed["region"], "accessKey": signed["key"], "token": "x-amz-security-token" in headers}
        judge = found = None
        for candidate in self.judges:
            found = candidate.path.fullmatch(urllib.parse.urlparse(path).path)
            if candidate.method == method and candidate.signing_name == signed["service"] and found:
                judge = candidate
                break
        if judge is None:
            raise Refused(404, "UnknownOperationException", f"{method} {path} is no operation of {signed['service']}")
        note |= {"operation": judge.name, "service": judge.service, "bytes": len(raw)}
        with self.lock:
            self.trouble(judge)
            try:
                body = json.loads(raw) if raw else {}
            except ValueError:
                raise Refused(400, invalid(judge), "the body is no JSON") from None
            if not isinstance(body, dict):
                raise Refused(400, invalid(judge), "the body is no object")
            return getattr(self, judge.name)(judge, judge.parameters(found.groupdict(), query, body), len(raw), note)

    def trouble(self, judge):
        """What goes wrong whatever the request says."""
        if self.faults.get("deny"):
            raise Refused(403, "AccessDeniedException", f"User is not authorized to perform: {judge.signing_name}:{judge.name}")
        if self.once("errors"):
            code = {"securityhub": "InternalException", "securitylake": "InternalServerException"}.get(judge.service, "InternalFailure")
            raise Refused(500, code, "An internal error has occurred")
        if self.once("throttle") or (judge.service == "securityhub" and not self.in_time()):
            raise Refused(429, "ThrottlingException" if judge.service != "securityhub" else "TooManyRequestsException", "Rate exceeded")
        if judge.service == "securityhub" and self.faults.get("disabled"):
            raise Refused(401, "InvalidAccessException", "Account is not subscribed to AWS Security Hub")
        if judge.service == "securitylake" and self.faults.get("no_lake"):
            raise Refused(404, "ResourceNotFoundException", "Security Lake is not enabled")

    def in_time(self):
        now = time.monotonic()
        self.tokens, self.then = min(BURST, self.tokens + (now - self.then) * RATE), now
        if self.tokens < 1 - SLACK:
            return False
        self.tokens -= 1
        return True

    def judged(self, judge, parameters, code):
        wrong = judge.request(parameters)
        if wrong:
            raise Refused(400, code, "; ".join(wrong)[:2_000])

    def BatchImportFindings(self, judge, parameters, size, note):
        findings = parameters.get("Findings")
        if size > MAX_IMPORT:
            raise Refused(413, "RequestEntityTooLargeException", f"{size} bytes, at most {MAX_IMPORT}")
        # What the model says of the request; of each finding below.
        if not isinstance(findings, list) or parameters.keys() != {"Findings"}:
            self.judged(judge, parameters, "InvalidInputException")
        if not 1 <= len(findings) <= 100:
            raise Refused(400, "InvalidInputException", f"Findings: {len(findings)} elements, at most 100")
        note["entries"] = len(findings)
        ids = [finding.get("Id") if isinstance(finding, dict) else None for finding in findings]
        if not all(isinstance(one, str) for one in ids) or len(set(ids)) < len(ids):
            raise Refused(400, "InvalidInputException", "Findings: an element without an Id, or one Id twice")
        failed = []
        for finding in findings:
            code = self.rejected(finding["Id"])
            message = "as asked"
            if code is None:
                wrong = aws_forms.finding(judge, json.dumps(finding, ensure_ascii=False, separators=(",", ":")))
                if not wrong and finding["ProductArn"].split(":")[3] != note["region"]:
                    wrong = [f"ProductArn: {finding['ProductArn']} is not of {note['region']}"]
                if wrong:
                    code, message = "InvalidInput", f"Finding does not adhere to Amazon Finding Format. {'; '.join(wrong)[:1_000]}"
            if code is not None:
                failed.append({"Id": finding["Id"], "ErrorCode": code, "ErrorMessage": message})
                continue
            before = self.findings.get(finding["Id"])
            if before is None or before["UpdatedAt"] <= finding["UpdatedAt"]:
                self.findings[finding["Id"]] = finding
        note["failed"] = {one["Id"]: [one["ErrorCode"], one["ErrorMessage"]] for one in failed}
        return {"SuccessCount": len(findings) - len(failed), "FailedCount": len(failed), "FailedFindings": failed}

    def PutAuditEvents(self, judge, parameters, size, note):
        if self.faults.get("closed"):
            raise Refused(400, "UnsupportedOperationException", CLOSED)
        if size > MAX_PUT:
            raise Refused(413, "RequestEntityTooLargeException", f"{size} bytes, at most {MAX_PUT}")
        self.judged(judge, parameters, "ValidationException")
        channel = parameters["channelArn"].split(":")
        if len(channel) != 6 or not re.fullmatch(r"channel/[0-9a-f-]{36}", channel[5]):
            raise Refused(400, "InvalidChannelARN", f"{parameters['channelArn']} is no channel")
        if channel[3] != note["region"] or channel[5] == "channel/00000000-0000-4000-8000-00000000dead":
            raise Refused(400, "ChannelNotFound", "The channel could not be found")
        entries = parameters["auditEvents"]
        note["entries"] = len(entries)
        ids = [entry["id"] for entry in entries]
        if len(set(ids)) < len(ids):
            raise Refused(400, "DuplicatedAuditEventId", "Two or more entries in the request have the same event ID")
        successful, failed = [], []
        for entry in entries:
            code, message = self.rejected(entry["id"]), "as asked"
            if code is None:
                code, message = self.event(judge, entry, channel[4])
            if code is not None:
                failed.append({"id": entry["id"], "errorCode": code, "errorMessage": message})
                continue
            self.events[entry["id"]] = entry
            successful.append({"id": entry["id"], "eventID": str(uuid.uuid4())})
        note["failed"] = {one["id"]: [one["errorCode"], one["errorMessage"]] for one in failed}
        return {"successful": successful, "failed": failed}

    @staticmethod
    def event(judge, entry, account):
        """The code and message that an event is refused with, if it is."""
        try:
            data = json.loads(entry["eventData"])
            if not isinstance(data, dict):
                raise ValueError
        except ValueError:
            return "InvalidData", "eventData is no object"
        wrong = aws_forms.audit_event(judge, json.dumps(entry, ensure_ascii=False))
        if wrong:
            code = "InvalidChecksum" if any("Checksum" in one for one in wrong) else "InvalidData"
            return code, "; ".join(wrong)[:1_000]
        if data["recipientAccountId"] != account:
            return "InvalidRecipient", f"recipientAccountId is not {account}"
        return None, None

    def change(self):
        """A change of custom sources begins: not while another is under way."""
        now = time.monotonic()
        if now < self.busy_until:
            raise Refused(409, "ConflictException", "A conflict with a previous write: retry with backoff")
        self.busy_until = now + self.faults.get("busy_ms", 0) / 1_000

    def CreateCustomLogSource(self, judge, parameters, size, note):
        self.judged(judge, parameters, "BadRequestException")
        name, version, region = parameters["sourceName"], parameters.get("sourceVersion", ""), note["region"]
        if len(name) > 20:
            raise Refused(400, "BadRequestException", f"sourceName: {len(name)} characters, at most 20")
        if (name, version, region) in self.sources:
            raise Refused(409, "ConflictException", f"custom log source {name} {version} exists")
        if len(self.sources) >= MAX_SOURCES:
            raise Refused(400, "BadRequestException", f"at most {MAX_SOURCES} custom sources")
        self.change()
        where = f"ext/{name}/{version}/" if version else f"ext/{name}/"
        of = f"arn:aws:securitylake:{region}:{ACCOUNT}"
        resource = {
            "sourceName": name,
            "provider": {
                "location": f"s3://aws-security-data-lake-{region}-0123456789abcdefghijklmnopqrst/{where}",
                "roleArn": f"arn:aws:iam::{ACCOUNT}:role/AmazonSecurityLake-Provider-{name}-{region}",
            },
            "attributes": {
                "crawlerArn": f"{of}:crawler/{name}",
                "databaseArn": f"{of}:database/amazon_security_lake_glue_db_{region.replace('-', '_')}",
                "tableArn": f"{of}:table/amazon_security_lake_table_{region.replace('-', '_')}_ext_{name.replace('-', '_')}",
            },
        }
        if version:
            resource["sourceVersion"] = version
        ready = time.monotonic() + self.faults.get("ready_ms", 0) / 1_000
        self.sources[(name, version, region)] = {"resource": resource, "ready": ready, "request": parameters}
        return {"source": resource}

    def DeleteCustomLogSource(self, judge, parameters, size, note):
        self.judged(judge, parameters, "BadRequestException")
        name, version, region = parameters["sourceName"], parameters.get("sourceVersion"), note["region"]
        gone = [key for key in self.sources if key[0] == name and key[2] == region and version in (None, key[1])]
        if not gone:
            raise Refused(404, "ResourceNotFoundException", f"there is no custom log source {name}")
        self.change()
        for key in gone:
            del self.sources[key]
        return {}

    def ListLogSources(self, judge, parameters, size, note):
        self.judged(judge, parameters, "BadRequestException")
        now, regions = time.monotonic(), parameters.get("regions") or [note["region"]]
        wanted = [one["customLogSource"] for one in parameters.get("sources", []) if "customLogSource" in one]
        if parameters.get("accounts") and ACCOUNT not in parameters["accounts"]:
            return {"sources": []}

        def asked(resource):
            return not parameters.get("sources") or any(
                all(resource.get(name) == value for name, value in one.items()) for one in wanted
            )

        listed = []
        for region in regions:
            ready = [
                {"customLogSource": source["resource"]}
                for (_, _, where), source in self.sources.items()
                if where == region and source["ready"] <= now and asked(source["resource"])
            ]
            if ready:
                listed.append({"account": ACCOUNT, "region": region, "sources": ready})
        return {"sources": listed}


def invalid(judge):
    return {"securityhub": "InvalidInputException", "securitylake": "BadRequestException"}.get(judge.service, "SerializationException")


AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([a-z0-9-]+)/([a-z-]+)/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)


def signature(method, path, query, headers, raw):
    """Who signed a request, for what; refuses one that nobody did, or somebody else."""
    parts = AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if not parts:
        raise Refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    key, day, region, service, names, given = parts.groups()
    stamp = headers.get("x-amz-date", "")
    names = names.split(";")
    try:
        when = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        raise Refused(403, "IncompleteSignatureException", f"x-amz-date {stamp!r}") from None
    late = abs((datetime.datetime.now(datetime.timezone.utc) - when).total_seconds()) > 300
    if late or not stamp.startswith(day) or "host" not in names:
        raise Refused(403, "InvalidSignatureException", "Signature expired, or for another day, or not for this host")
    if key in SECRETS:
        credentials = botocore.credentials.Credentials(key, SECRETS[key], headers.get("x-amz-security-token"))
        signer = botocore.auth.SigV4Auth(credentials, service, region)
        url = f"http://{headers['host']}{path}"
        request = botocore.awsrequest.AWSRequest(method, url, {name: headers.get(name, "") for name in names}, raw)
        request.context["timestamp"] = stamp
        canonical = signer.canonical_request(request)
        if signer.signature(signer.string_to_sign(request, canonical), request) != given:
            raise Refused(403, "InvalidSignatureException", "The request signature we calculated does not match")
    return {"key": key, "region": region, "service": service}


SERVICE = Service()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/_state":
            return self.say(200, SERVICE.state())
        if self.path == "/_faults":
            return self.say(200, SERVICE.fault(json.loads(raw)))
        if self.path == "/_reset":
            return self.say(200, SERVICE.reset())
        note = {"operation": None, "status": 200, "code": None}
        cut = False
        try:
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlparse(self.path).query, keep_blank_values=True))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, said, extra = 200, SERVICE.call(self.command, self.path, query, headers, raw, note), {}
            with SERVICE.lock:
                cut = SERVICE.once("cut")
        except Refused as refused:
            note |= {"status": refused.status, "code": refused.code}
            status, extra = refused.status, {"x-amzn-ErrorType": refused.code}
            said = {"Message" if note.get("service") == "securityhub" else "message": refused.message}
            note["message"] = refused.message
        with SERVICE.lock:
            SERVICE.calls.append(note)
            delay = SERVICE.faults.get("delay_ms", 0)
        time.sleep(delay / 1_000)
        if cut:
            self.close_connection = True
            return self.connection.close()
        return self.say(status, said, extra)

    def say(self, status, document, headers={}):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        # A client that went away, or that was cut off, is part of the tests.
        if not isinstance(sys.exception(), (ConnectionError, ValueError, OSError)):
            super().handle_error(request, client_address)


def main():
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
