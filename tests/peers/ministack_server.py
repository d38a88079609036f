"""AWS on this machine (ministack), until standard input ends. Prints the endpoint in one line.

With USE_SSL=1 it speaks TLS, and after the endpoint stands the certificate to trust, which its functions do. AUTH=true enforces policies.
TRIBUTARY_MINISTACK_LOG names a file that takes its log when it ends. Its functions are native processes: what this program's environment holds, they see.
"""

import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

PATIENCE_S = 60


def main() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tls = os.environ.get("USE_SSL") == "1"
    endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    folder = tempfile.TemporaryDirectory(prefix="ministack-")
    environment = os.environ | {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "EDGE_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "TMPDIR": folder.name,
    }
    certificate = pathlib.Path(folder.name) / "ministack-tls" / "server.crt"
    if tls:
        environment["SSL_CERT_FILE"] = str(certificate)
    program = pathlib.Path(sys.executable).with_name("ministack")
    log = open(pathlib.Path(folder.name) / "ministack.log", "wb")
    # A group of its own: it starts the functions' processes, and all of them end with it.
    process = subprocess.Popen(
        [program], env=environment, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait(process, endpoint, pathlib.Path(log.name))
        print(*[endpoint, certificate] if tls else [endpoint], flush=True)
        sys.stdin.read()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if os.environ.get("TRIBUTARY_MINISTACK_LOG"):
            pathlib.Path(os.environ["TRIBUTARY_MINISTACK_LOG"]).write_bytes(pathlib.Path(log.name).read_bytes())
        folder.cleanup()


def wait(process: subprocess.Popen, endpoint: str, log: pathlib.Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=2, context=ssl._create_unverified_context()).read()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"ministack did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)


main()
