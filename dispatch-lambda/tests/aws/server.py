"""AWS, emulated by moto, on a free port of this machine, until standard input ends.

The port is the one line that it prints. `GET /recorded` answers what each access key asked for, in the words of IAM, and how.
`PUT /refused` names the access keys of a deployment that are denied the table, until it names others. Requests are answered one
at a time: a transaction that fails is taken back, and what others wrote meanwhile must not be.
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
REFUSED = {}
# Which parameters are recorded: what a query goes by, and how it is answered; and how long messages are kept back.
PARAMETERS = ("KeyConditionExpression", "Select", "DelaySeconds")


def asking(environ):
    """The access key that a request is signed with."""
    key = re.search("Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    return key and key.group(1)


def read(environ):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return json.loads(body)


def record(environ):
    """Who asks for what, and of which table, index, queue, bus or secret."""
    key = asking(environ)
    service, _, operation = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")
    if not key or not operation:
        return
    asked = read(environ)
    if service.startswith("DynamoDB_"):
        # There is no action for a transaction: each of its items is allowed as the action that it stands for (Amazon DynamoDB
        # Developer Guide, "Using IAM with DynamoDB transactions"). A query of an index is allowed on the index.
        items = asked.get("TransactItems")
        actions = [f"{name}Item" for item in items for name in item] if items else [operation]
        index = asked.get("IndexName")
        resource = f"index_{index}" if index else "table"
        names = [(f"dynamodb:{action}", resource) for action in actions]
    elif service == "AmazonSQS":
        names = [("sqs:" + operation.removesuffix("Batch"), asked.get("QueueUrl", "").rpartition("-")[2])]
        asked["DelaySeconds"] = [entry.get("DelaySeconds") for entry in asked.get("Entries", [])]
    elif service == "AWSEvents":
        names = [("events:" + operation, "bus")]
    elif service == "secretsmanager":
        # The emulation ends an ARN with six letters.
        names = [("secretsmanager:" + operation, asked.get("SecretId", "")[:-7].rpartition("-")[2])]
    else:
        names = [(operation, service)]
    how = json.dumps({name: asked[name] for name in PARAMETERS if name in asked})
    RECORDED.update((key, *name, how) for name in names)


def is_refused(environ):
    of_the_table = environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB_")
    return of_the_table and any(asking(environ) in keys for keys in REFUSED.values())


def answer(start_response, status, what):
    text = json.dumps(what).encode()
    start_response(status, [("Content-Type", "application/x-amz-json-1.0"), ("Content-Length", str(len(text)))])
    return [text]


class Serialised:
    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        with ONE_AT_A_TIME:
            if environ["PATH_INFO"] == "/recorded":
                return answer(start_response, "200 OK", sorted(RECORDED))
            if environ["PATH_INFO"] == "/refused":
                refused = read(environ)
                REFUSED[refused["of"]] = refused["keys"]
                return answer(start_response, "200 OK", refused)
            if is_refused(environ):
                denied = {"__type": "AccessDeniedException", "message": "the role does not allow it"}
                return answer(start_response, "400 Bad Request", denied)
            record(environ)
            return list(self.application(environ, start_response))


threading.Thread(target=end_with_whoever_started_it, daemon=True).start()
logging.getLogger("werkzeug").setLevel(logging.ERROR)
application = Serialised(DomainDispatcherApplication(create_backend_app))
server = make_server("127.0.0.1", 0, application, threaded=True)
os.environ["MOTO_PORT"] = str(server.port)
print(server.port, flush=True)
server.serve_forever()
