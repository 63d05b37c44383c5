"""AWS, emulated by moto, on a free port of this machine, until standard input ends.

The port is the one line that it prints. `GET /recorded` answers what each access key asked for, in the words of IAM. Requests are answered one at a time: moto takes back a transaction that fails by
restoring the whole table, and would take back what others wrote meanwhile.
"""

import io
import json
import logging
import os
import re
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

import transactions  # noqa: F401 (it changes moto)

ONE_AT_A_TIME = threading.Lock()


def end_with_whoever_started_it():
    sys.stdin.buffer.read()
    os._exit(0)


RECORDED = set()


def record(environ):
    """Who asks for what, and of which table, index, queue, bus or secret."""
    key = re.search("Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    service, _, operation = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")
    if not key or not operation:
        return
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    asked = json.loads(body)
    if service.startswith("DynamoDB_"):
        # A transaction is allowed by what is in it.
        items = asked.get("TransactItems")
        actions = [f"{name}Item" for item in items for name in item] if items else [operation]
        resource = "indexes" if "IndexName" in asked else "table"
        names = [(f"dynamodb:{action}", resource) for action in actions]
    elif service == "AmazonSQS":
        names = [("sqs:" + operation.removesuffix("Batch"), asked.get("QueueUrl", "").rpartition("-")[2])]
    elif service == "AWSEvents":
        names = [("events:" + operation, "bus")]
    elif service == "secretsmanager":
        # The emulation ends an ARN with six letters.
        names = [("secretsmanager:" + operation, asked.get("SecretId", "")[:-7].rpartition("-")[2])]
    else:
        names = [(operation, service)]
    RECORDED.update((key.group(1), *name) for name in names)


class Serialised:
    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        with ONE_AT_A_TIME:
            if environ["PATH_INFO"] == "/recorded":
                answer = json.dumps(sorted(RECORDED)).encode()
                start_response("200 OK", [("Content-Length", str(len(answer)))])
                return [answer]
            record(environ)
            return list(self.application(environ, start_response))


threading.Thread(target=end_with_whoever_started_it, daemon=True).start()
logging.getLogger("werkzeug").setLevel(logging.ERROR)
application = Serialised(DomainDispatcherApplication(create_backend_app))
server = make_server("127.0.0.1", 0, application, threaded=True)
os.environ["MOTO_PORT"] = str(server.port)
print(server.port, flush=True)
server.serve_forever()
