"""AWS, emulated by moto, on a free port of this machine, until standard input ends.

The port is the one line that it prints. Requests are answered one at a time: moto takes back a transaction that fails by
restoring the whole table, and would take back what others wrote meanwhile.
"""

import logging
import os
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

ONE_AT_A_TIME = threading.Lock()


def end_with_whoever_started_it():
    sys.stdin.buffer.read()
    os._exit(0)


class Serialised:
    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        with ONE_AT_A_TIME:
            return list(self.application(environ, start_response))


threading.Thread(target=end_with_whoever_started_it, daemon=True).start()
logging.getLogger("werkzeug").setLevel(logging.ERROR)
application = Serialised(DomainDispatcherApplication(create_backend_app))
server = make_server("127.0.0.1", 0, application, threaded=True)
os.environ["MOTO_PORT"] = str(server.port)
print(server.port, flush=True)
server.serve_forever()
