"""Findings and trail events by the AWS SDK's own service models, and by what AWS documents beyond them.

usage: aws_forms.py asff|cloudtrail FILE.ndjson

asff: a line is a finding of securityhub's BatchImportFindings. cloudtrail: a line is an entry of cloudtrail-data's
PutAuditEvents. Each is put into a request alone and judged by

- botocore's ParamValidator, as a client would before it sends: required members, types, no unknown member;
- what the models carry and the validator does not look at: enumerations, patterns, smallest and largest sizes, and the
  lengths and counts in the members' documentation;
- what the user guides say: see the tables below.

Characters are UTF-16 code units. Prints one finding a line, then how many were judged; exits with 1 when there are findings.
"""

import base64
import hashlib
import ipaddress
import json
import re
import sys

import botocore
import botocore.session
from botocore.validate import ParamValidator

# A finding has at most 240 KB, a request 6 MB and 100 findings (API reference, partner guide). The smaller reading of KB.
MAX_FINDING = 240_000
# An event has at most 256 KB, a request 1 MB and 100 events.
MAX_EVENT = 256_000

# User guide of Security Hub: "Resource attributes", "Other object in ASFF", "Vulnerabilities", "Network". Not in the model.
GUIDE_LENGTHS = {
    ("Resource", "Id"): 512,
    ("Vulnerability", "Id"): 128,
    ("VulnerabilityVendor", "Name"): 32,
    ("VulnerabilityVendor", "VendorSeverity"): 32,
}
# "Up to 50 key-value pairs"; "fewer than 128 characters", "fewer than 1,024 characters".
GUIDE_MAPS = {
    ("AwsSecurityFinding", "ProductFields"): (50, 128, 2_048),
    ("ResourceDetails", "Other"): (50, 127, 1_023),
}
NAMESPACES = (
    "Software and Configuration Checks",
    "TTPs",
    "Effects",
    "Unusual Behaviors",
    "Sensitive Data Identifications",
)
# Security Hub's pattern of a timestamp.
TIMESTAMP = re.compile(
    r"(\d\d\d\d)-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)"
)
PRODUCT_ARN = re.compile(r"arn:(aws|aws-cn|aws-us-gov):securityhub:([a-z0-9-]+):(\d{12}):product/(\d{12})/default")
PORTS = ("SourcePort", "DestinationPort")
ADDRESSES = {"SourceIpV4": 4, "SourceIpV6": 6, "DestinationIpV4": 4, "DestinationIpV6": 6}

# User guide of CloudTrail: "CloudTrail Lake integrations event schema". Member: type, longest text or largest JSON, required.
EVENT_DATA = {
    "version": (str, 256, True),
    "userIdentity": (dict, None, True),
    "userAgent": (str, 1_024, False),
    "eventSource": (str, 1_024, True),
    "eventName": (str, 1_024, True),
    "eventTime": (str, None, True),
    "UID": (str, 1_024, True),
    "requestParameters": (dict, 100_000, False),
    "responseElements": (dict, 100_000, False),
    "errorCode": (str, 256, False),
    "errorMessage": (str, 256, False),
    "sourceIPAddress": (str, None, False),
    "recipientAccountId": (str, None, True),
    "additionalEventData": (dict, 28_000, False),
}
USER_IDENTITY = {"type": (str, 128, True), "principalId": (str, 1_024, True), "details": (dict, None, False)}


def units(text):
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def plain(documentation):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", documentation or ""))


def documented(documentation):
    """Smallest and largest size that a member's documentation states, and whether they count elements."""
    text = plain(documentation)
    at = re.search(r"(Length Constraints|Array Members): ?", text)
    if not at:
        return None
    rest = text[at.end() :]
    exact = re.match(r"(\d+)\.", rest)
    if exact:
        return int(exact[1]), int(exact[1]), False
    low = re.search(r"Minimum (?:length|number)? ?of (\d+)", rest)
    high = re.search(r"Maximum (?:length|number)? ?of (\d+)", rest)
    return int(low[1]) if low else 0, int(high[1]) if high else None, at[1] == "Array Members"


class Judge:
    def __init__(self, service, operation):
        session = botocore.session.get_session()
        self.model = session.get_service_model(service)
        self.input = self.model.operation_model(operation).input_shape
        self.validator = ParamValidator()
        self.raw = session.get_component("data_loader").load_service_model(service, "service-2")["shapes"]
        self.limits = 0

    def request(self, parameters):
        """Everything that is wrong with a request."""
        errors = self.validator.validate(parameters, self.input)
        if errors.has_errors():
            return [line for line in errors.generate_report().splitlines() if line]
        self.wrong = []
        self.shape(self.input, parameters, "")
        return self.wrong

    def complain(self, path, what):
        self.wrong.append(f"{path.lstrip('.')}: {what}")

    def size(self, path, count, low, high, what):
        self.limits += 1
        if low is not None and count < low:
            self.complain(path, f"{count} {what}, at least {low}")
        if high is not None and count > high:
            self.complain(path, f"{count} {what}, at most {high}")

    def shape(self, shape, value, path):
        bounds = self.raw[shape.name]
        low, high = bounds.get("min"), bounds.get("max")
        kind = shape.type_name
        if kind == "structure":
            for name, inner in value.items():
                self.member(shape, name, inner, f"{path}.{name}")
        elif kind == "list":
            self.size(path, len(value), low, high, "elements")
            for index, inner in enumerate(value):
                self.shape(shape.member, inner, f"{path}[{index}]")
        elif kind == "map":
            self.size(path, len(value), low, high, "entries")
            for key, inner in value.items():
                self.shape(shape.key, key, f"{path}<{key[:40]}>")
                self.shape(shape.value, inner, f"{path}[{key[:40]}]")
        elif kind == "string":
            self.size(path, units(value), low, high, "characters")
            if bounds.get("enum") and value not in bounds["enum"]:
                self.complain(path, f"{value!r} is none of {', '.join(bounds['enum'])}")
            if bounds.get("pattern") and not re.search(bounds["pattern"], value):
                self.complain(path, f"{value[:60]!r} does not match {bounds['pattern']}")
        elif kind in ("integer", "long", "double", "float"):
            self.size(path, value, low, high, "as a number")

    def member(self, parent, name, value, path):
        shape = parent.members[name]
        stated = documented(self.raw[parent.name]["members"][name].get("documentation"))
        if stated and isinstance(value, list):
            # Some members state the length of their elements, others how many there may be.
            if stated[2]:
                self.size(path, len(value), stated[0], stated[1], "elements")
        elif stated and isinstance(value, str):
            self.size(path, units(value), stated[0], stated[1], "characters")
        guide = GUIDE_LENGTHS.get((parent.name, name))
        if guide:
            self.size(path, units(value), 1, guide, "characters")
        if (parent.name, name) in GUIDE_MAPS:
            pairs, key_length, value_length = GUIDE_MAPS[(parent.name, name)]
            self.size(path, len(value), 1, pairs, "pairs")
            for key, text in value.items():
                self.size(f"{path}<{key[:40]}>", units(key), 1, key_length, "characters")
                self.size(f"{path}[{key[:40]}]", units(text), 1, value_length, "characters")
        if name.endswith("At") and shape.type_name == "string" and not TIMESTAMP.fullmatch(value):
            self.complain(path, f"{value!r} is no timestamp")
        if name in PORTS and not 0 <= value <= 65_535:
            self.complain(path, f"{value} is no port")
        if name in ADDRESSES and ipaddress.ip_address(value).version != ADDRESSES[name]:
            self.complain(path, f"{value} is no such address")
        if name.endswith("Url") and not re.fullmatch(r"https?://\S+", value):
            self.complain(path, f"{value[:60]!r} is no address")
        self.shape(shape, value, path)


def finding(judge, line):
    """Everything that is wrong with a finding."""
    value = json.loads(line)
    wrong = judge.request({"Findings": [value]})
    if wrong:
        return wrong
    size = len(line.encode())
    if size > MAX_FINDING:
        wrong.append(f"{size} bytes, at most {MAX_FINDING}")
    if value["SchemaVersion"] != "2018-10-08":
        wrong.append(f"SchemaVersion: {value['SchemaVersion']!r}")
    arn = PRODUCT_ARN.fullmatch(value["ProductArn"])
    account = value["AwsAccountId"]
    if not arn or arn[3] != account or arn[4] != account:
        wrong.append(f"ProductArn: {value['ProductArn']!r} is not the default product of {account!r}")
    else:
        partition = "aws-cn" if arn[2].startswith("cn-") else "aws-us-gov" if arn[2].startswith("us-gov-") else "aws"
        if arn[1] != partition:
            wrong.append(f"ProductArn: {arn[2]} lies in {partition}")
        for resource in value["Resources"]:
            if resource.get("Partition", partition) != partition or resource.get("Region", arn[2]) != arn[2]:
                wrong.append("Resources: a resource lies elsewhere than the finding")
    provider = value.get("FindingProviderFields", {})
    severity = value.get("Severity") or provider.get("Severity") or {}
    if "Label" not in severity and "Normalized" not in severity:
        wrong.append("Severity: neither Label nor Normalized")
    if not 0 <= severity.get("Normalized", 0) <= 100:
        wrong.append(f"Severity.Normalized: {severity['Normalized']}")
    for where, types in (("", value.get("Types")), ("FindingProviderFields.", provider.get("Types"))):
        for kind in types or []:
            parts = kind.split("/")
            if parts[0] not in NAMESPACES or len(parts) > 3 or not all(parts):
                wrong.append(f"{where}Types: {kind!r} is not in the taxonomy")
    if not value.get("Types") and not provider.get("Types"):
        wrong.append("Types: none")
    if value["UpdatedAt"] < value["CreatedAt"]:
        wrong.append("UpdatedAt: before CreatedAt")
    for key in value.get("ProductFields", {}):
        if key.startswith("aws/"):
            wrong.append(f"ProductFields: {key!r} is in AWS's namespace")
    recommendation = value.get("Remediation", {}).get("Recommendation")
    if recommendation is not None and not recommendation:
        wrong.append("Remediation.Recommendation: neither Text nor Url")
    mac = value.get("Network", {}).get("SourceMac")
    if mac is not None and not re.fullmatch(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", mac):
        wrong.append(f"Network.SourceMac: {mac!r}")
    return wrong


def members(path, value, schema, wrong):
    for name in value.keys() - schema.keys():
        wrong.append(f"{path}{name}: not in the schema")
    for name, (kind, most, required) in schema.items():
        if name not in value:
            if required:
                wrong.append(f"{path}{name}: missing")
            continue
        inner = value[name]
        if not isinstance(inner, kind):
            wrong.append(f"{path}{name}: {type(inner).__name__}")
        elif kind is str and not 1 <= units(inner) <= (most or units(inner)):
            wrong.append(f"{path}{name}: {units(inner)} characters, at most {most}")
        elif kind is dict and most and (size := len(json.dumps(inner, ensure_ascii=False, separators=(",", ":")).encode())) > most:
            wrong.append(f"{path}{name}: {size} bytes, at most {most}")


def audit_event(judge, line):
    """Everything that is wrong with an event."""
    entry = json.loads(line)
    channel = "arn:aws:cloudtrail:us-east-1:000000000000:channel/00000000-0000-4000-8000-000000000000"
    wrong = judge.request({"channelArn": channel, "auditEvents": [entry]})
    if wrong:
        return wrong
    text = entry["eventData"]
    if len(text.encode()) > MAX_EVENT:
        wrong.append(f"eventData: {len(text.encode())} bytes, at most {MAX_EVENT}")
    checksum = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    if entry.get("eventDataChecksum", checksum) != checksum:
        wrong.append("eventDataChecksum: not that of eventData")
    data = json.loads(text)
    members("", data, EVENT_DATA, wrong)
    if isinstance(data.get("userIdentity"), dict):
        members("userIdentity.", data["userIdentity"], USER_IDENTITY, wrong)
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", data.get("eventTime", "")):
        wrong.append(f"eventTime: {data.get('eventTime')!r}")
    if not re.fullmatch(r"\d{12}", data.get("recipientAccountId", "")):
        wrong.append(f"recipientAccountId: {data.get('recipientAccountId')!r}")
    if "sourceIPAddress" in data:
        try:
            ipaddress.ip_address(data["sourceIPAddress"])
        except ValueError:
            wrong.append(f"sourceIPAddress: {data['sourceIPAddress']!r}")
    return wrong


def main():
    form, path = sys.argv[1:]
    service, operation, judge_line = {
        "asff": ("securityhub", "BatchImportFindings", finding),
        "cloudtrail": ("cloudtrail-data", "PutAuditEvents", audit_event),
    }[form]
    judge = Judge(service, operation)
    count = findings = 0
    with open(path, encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, 1):
            count += 1
            for error in judge_line(judge, line.rstrip("\n")):
                findings += 1
                print(f"{number}: {error[:400]}")
    print(f"judged {count} {form} by botocore {botocore.__version__}, {judge.limits} limits")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
