"""Runs a program with some of its streams on a pseudo-terminal, and tells what it wrote there and elsewhere.

usage: terminal.py STREAMS PROGRAM [ARGUMENT ...]

STREAMS is `both`, `output` or `errors`: what is a terminal; the other stream is a pipe. Prints a JSON object.
"""

import json
import os
import pty
import subprocess
import sys
import threading


def read(descriptor, chunks):
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:  # Linux says so when the other side of a terminal is closed.
            return
        if not chunk:
            return
        chunks.append(chunk)


streams, command = sys.argv[1], sys.argv[2:]
terminal, inner = pty.openpty()
outer, pipe = os.pipe()
on_terminal = {"both": (True, True), "output": (True, False), "errors": (False, True)}[streams]
process = subprocess.Popen(
    command,
    stdin=subprocess.DEVNULL,
    stdout=inner if on_terminal[0] else pipe,
    stderr=inner if on_terminal[1] else pipe,
)
os.close(inner)
os.close(pipe)
texts = {"terminal": [], "pipe": []}
readers = [
    threading.Thread(target=read, args=(terminal, texts["terminal"])),
    threading.Thread(target=read, args=(outer, texts["pipe"])),
]
for reader in readers:
    reader.start()
code = process.wait()
for reader in readers:
    reader.join()
print(json.dumps({"code": code} | {name: b"".join(chunks).decode() for name, chunks in texts.items()}))
