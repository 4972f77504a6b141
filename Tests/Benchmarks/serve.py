"""Serving, beside llama.cpp's server (llama-cpp-python[server]) at equal bits: time to the first token and tokens a second in
all, for 1, 4 and 16 clients that each ask for 128 tokens, in turns of one run.

    serve.py --sft .build/release/sft --model DIR [--adapter NAME=DIR]… [--gguf FILE --python PYTHON] [--clients 1,4,16]

`--gguf` is the same model in as many bits a weight for the other server, `--python` an interpreter that has it. With two
adapters also: both mixed in one batch against one of them alone.
"""

import argparse
import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

TOPICS = (
    "a lighthouse keeper", "the history of bread", "how rivers are made", "a fox in the snow", "the first railway",
    "an island without birds", "how glass is blown", "a letter from the sea", "the year of two winters", "old maps",
    "a village market", "how to build a boat", "the language of bees", "a clock without hands", "the road north",
    "a garden at night",
)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A server process that listens on a port."""

    def __init__(self, command, port, env=None):
        self.port = port
        self.log = open(os.environ.get("SERVE_LOG", os.devnull), "ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=env)
        for _ in range(600):
            if self.process.poll() is not None:
                sys.exit(f"{command[0]} ended with {self.process.returncode}")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/v1/models")
                models = json.load(connection.getresponse())["data"]
                self.models = [m["id"] for m in models]
                return
            except (OSError, ValueError, http.client.HTTPException):
                time.sleep(0.1)
        sys.exit(f"{command[0]} does not answer")

    def resident(self):
        text = open(f"/proc/{self.process.pid}/status").read()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def ask(port, model, prompt, tokens, result):
    """One streamed completion: seconds to the first text, tokens, and seconds in all."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    body = {"model": model, "prompt": prompt, "max_tokens": tokens, "temperature": 0, "stream": True}
    began = time.perf_counter()
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        sys.exit(f"status {response.status}: {response.read()[:300]}")
    first, pieces = None, 0
    for line in response:
        if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
            continue
        choices = json.loads(line[6:]).get("choices") or []
        if choices and choices[0].get("text"):
            first = first or time.perf_counter() - began
            pieces += 1
    result.append((first, pieces, time.perf_counter() - began))


def round_of(server, clients, tokens, models):
    """Clients that begin at the same moment: median time to the first token, and tokens a second in all. A piece of text is a
    token, but where a character takes several."""
    results, threads = [], []
    began = time.perf_counter()
    for index in range(clients):
        prompt = f"Here is a long story about {TOPICS[index % len(TOPICS)]}.\n\nOnce upon a time"
        threads.append(
            threading.Thread(
                target=ask, args=(server.port, models[index % len(models)], prompt, tokens, results)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - began
    return statistics.median(r[0] for r in results), sum(r[1] for r in results) / wall


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sft", default=".build/release/sft")
    parser.add_argument("--model", required=True)
    parser.add_argument("--adapter", action="append", default=[])
    parser.add_argument("--gguf")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--clients", default="1,4,16")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sft-arguments", default="")
    arguments = parser.parse_args()

    port = free_port()
    command = [arguments.sft, "serve", "--model", arguments.model, "--port", str(port), *arguments.sft_arguments.split()]
    for adapter in arguments.adapter:
        command += ["--adapter", adapter]
    own = Server(command, port)
    servers = [("sft", own)]
    if arguments.gguf:
        port = free_port()
        threads = str(len(os.sched_getaffinity(0)))
        servers.append(
            ("llama.cpp", Server(
                [arguments.python, "-m", "llama_cpp.server", "--model", arguments.gguf, "--port", str(port), "--n_ctx",
                 "2048", "--n_threads", threads, "--n_threads_batch", threads], port)))
    base = {name: [server.models[0]] for name, server in servers}
    for name, server in servers:
        round_of(server, 1, 8, base[name])
    print(f"{'clients':>7}  {'server':<10}  {'first token':>11}  {'tokens/s':>8}")
    for clients in map(int, arguments.clients.split(",")):
        figures = {name: [] for name, _ in servers}
        for _ in range(arguments.rounds):
            for name, server in servers:
                figures[name].append(round_of(server, clients, arguments.tokens, base[name]))
        rate = {}
        for name, rounds in figures.items():
            first, rate[name] = (statistics.median(values) for values in zip(*rounds))
            print(f"{clients:>7}  {name:<10}  {first * 1000:>8.0f} ms  {rate[name]:>8.1f}")
        if len(rate) > 1:
            print(f"{clients:>7}  ratio {rate['sft'] / rate['llama.cpp']:.2f}")
    if len(arguments.adapter) > 1:
        names = own.models[1:3]
        kinds = {"the base": own.models[:1], f"only {names[0]}": names[:1], "both mixed": names}
        rates = {kind: [] for kind in kinds}
        for _ in range(arguments.rounds):
            for kind, models in kinds.items():
                rates[kind].append(round_of(own, 16, arguments.tokens, models)[1])
        for kind, values in rates.items():
            print(f"16 clients, {kind}: {statistics.median(values):.1f} tokens/s")
    for name, server in servers:
        print(f"{name}: {server.resident():.0f} MiB resident")
        server.stop()


main()
