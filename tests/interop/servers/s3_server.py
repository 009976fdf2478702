"""S3 on loopback: moto's server, and boto3 to store and presign. Run by peers.py, as a process of its own.

In: one JSON line per object, {"key", "body" (base64)}. Out: {"port"} once, then {"url"} per object.
"""

from __future__ import annotations

import base64
import json
import sys

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

BUCKET = "job-inputs"
EXPIRES_S = 900


def main() -> None:
    """Serve until stdin ends."""
    # moto greets on stdout; that is where our own lines go.
    lines, sys.stdout = sys.stdout, sys.stderr
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    port = server.get_host_and_port()[1]
    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="eu-west-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    print(json.dumps({"port": port}), file=lines, flush=True)
    for line in sys.stdin:
        wish = json.loads(line)
        s3.put_object(Bucket=BUCKET, Key=wish["key"], Body=base64.b64decode(wish["body"]))
        place = {"Bucket": BUCKET, "Key": wish["key"]}
        url = s3.generate_presigned_url("get_object", Params=place, ExpiresIn=EXPIRES_S)
        print(json.dumps({"url": url}), file=lines, flush=True)
    server.stop()


main()
