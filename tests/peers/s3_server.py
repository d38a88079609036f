"""An S3 API over HTTP on this machine (moto), until standard input ends.

Usage: s3_server.py BUCKET [FOLDER PREFIX]...

Makes the bucket, puts every file of each folder below its prefix, and prints the endpoint in one line.
"""

import logging
import pathlib
import sys

import boto3
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)


def main() -> None:
    bucket, *pairs = sys.argv[1:]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket=bucket)
    for folder, prefix in zip(pairs[::2], pairs[1::2], strict=True):
        root = pathlib.Path(folder)
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            client.put_object(Bucket=bucket, Key=f"{prefix}/{path.relative_to(root).as_posix()}", Body=path.read_bytes())
    print(endpoint, flush=True)
    sys.stdin.read()
    server.stop()


main()
