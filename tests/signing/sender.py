"""A client of its own process: sends requests that were signed before, when it is told to.

python sender.py HOST PORT REQUESTS. REQUESTS is a file: a list of [method, target, headers, body]. Says
"ready", waits for a line, sends one after the other, and says the list of [status, code].
"""

import http.client
import json
import sys
from pathlib import Path

host, port, requests = sys.argv[1:]
connection = http.client.HTTPConnection(host, int(port), timeout=60)
connection.connect()
sys.stdout.write("ready\n")
sys.stdout.flush()
sys.stdin.readline()
answers: list[tuple[int, str | None]] = []
for method, target, headers, body in json.loads(Path(requests).read_text()):
    connection.request(method, target, body or None, headers)
    answer = connection.getresponse()
    answers.append((answer.status, json.loads(answer.read()).get("code")))
sys.stdout.write(json.dumps(answers))
