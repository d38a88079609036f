"""Calls of AWS's APIs for tests that are not in Rust: one JSON object a line in, one a line out, until standard input ends.

In: {"service", "operation" (as in boto3: create_bucket), "parameters", "credentials" (optional: as sts returns them)}; the endpoint is
the argument. Out: {"answer"} or {"error": code, "message"}.
"""

import json
import sys

import botocore.exceptions
import botocore.session


def plain(value):
    """What JSON knows."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key != "ResponseMetadata"}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode()
    if hasattr(value, "read"):
        return value.read().hex()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def main() -> None:
    (endpoint,) = sys.argv[1:]
    session = botocore.session.get_session()
    for line in sys.stdin:
        asked = json.loads(line)
        keys = asked.get("credentials") or {"AccessKeyId": "test", "SecretAccessKey": "test"}
        client = session.create_client(
            asked["service"],
            region_name="us-east-1",
            endpoint_url=endpoint,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys.get("SessionToken"),
        )
        try:
            answer = {"answer": plain(getattr(client, asked["operation"])(**asked.get("parameters", {})))}
        except botocore.exceptions.ClientError as error:
            answer = {"error": error.response["Error"]["Code"], "message": error.response["Error"].get("Message", "")}
        except Exception as error:  # the test is to say what failed, not to wait
            answer = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps(answer), flush=True)


main()
