"""stomp.py at the command of stomp-py.ts.

One JSON object a line comes in on stdin, one goes out on stdout:

  {"nr": 1, "client": 7, "open": {"version": "1.2", "port": 61613, "heartbeats": [0, 0]}}
  {"nr": 2, "client": 7, "call": "send", "args": {"destination": "/queue/a", ...}, "body": BASE64}
  {"nr": 3, "client": 7, "drop": true}

  {"nr": 1}  or  {"nr": 1, "failed": REASON}     the command has returned
  {"client": 7, "frame": "MESSAGE", "headers": {...}, "body": BASE64}
"""

import base64
import json
import sys
import threading

import stomp

CONNECTIONS = {"1.0": stomp.StompConnection10, "1.1": stomp.StompConnection11, "1.2": stomp.StompConnection12}

connections = {}
stdout_lock = threading.Lock()  # frames come on a thread for each connection


def say(event):
    with stdout_lock:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()


class Listener(stomp.ConnectionListener):
    def __init__(self, client):
        self.client = client

    def tell(self, frame):
        body = base64.b64encode(frame.body or b"").decode()
        say({"client": self.client, "frame": frame.cmd, "headers": frame.headers, "body": body})

    on_connected = on_message = on_receipt = on_error = tell


def open_connection(client, version, port, heartbeats):
    more = {} if version == "1.0" else {"heartbeats": tuple(heartbeats)}
    connection = CONNECTIONS[version]([("127.0.0.1", port)], auto_decode=False, reconnect_attempts_max=1, **more)
    connection.set_listener("", Listener(client))
    connections[client] = connection
    connection.connect(wait=True, host="localhost")


def obey(command):
    client = command["client"]
    if "open" in command:
        open_connection(client, **command["open"])
    elif "drop" in command:
        connections.pop(client).transport.disconnect_socket()
    else:
        args = command["args"]
        if "body" in command:
            args["body"] = base64.b64decode(command["body"])
        getattr(connections[client], command["call"])(**args)


for line in sys.stdin:
    command = json.loads(line)
    try:
        obey(command)
        say({"nr": command["nr"]})
    except Exception as error:
        say({"nr": command["nr"], "failed": repr(error)})
