"""A server under mixed load for a long time: answers compared with those of `sft generate`, clients that go away, slow readers,
bodies of garbage, clients that are killed, adapters loaded and dropped. Ends with 1 if an answer differs, the server dies, or its
memory has grown.

    soak.py --sft .build/release/sft --model DIR --adapter DIR [--minutes 60]
"""

import argparse
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

QUESTIONS = (
    "Name three fruits.", "Why is the sky blue?", "Write a line about rain.", "배는 무슨 색입니까?", "Count to five.",
    "What is a lighthouse for?", "Translate 'good morning' into French.", "Say something kind.", "What do bees eat?",
    "Give me a word that rhymes with sea.", "Describe a small village.", "How do boats float?",
)


class Load:
    def __init__(self, arguments):
        self.arguments = arguments
        self.counts, self.lock = {}, threading.Lock()
        self.mismatches, self.end = [], time.time() + 60 * arguments.minutes
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.workspace = tempfile.mkdtemp(prefix="sft-soak-")
        self.cases = [self.case(i) for i in range(36)]

    def case(self, index):
        """Settings of a question, and what `sft generate` answers to it."""
        question = QUESTIONS[index % len(QUESTIONS)]
        adapted, drawn = index % 3 == 1, index % 2 == 1
        tokens, seed = 8 + index * 7 % 60, index
        command = [
            self.arguments.sft, "generate", "--model", self.arguments.model, "--prompt", question, "--max-new-tokens",
            str(tokens), "--workspace", self.workspace, "--json", "--quiet"]
        command += ["--adapter", self.arguments.adapter] if adapted else ["--base"]
        body = {"model": "tuned" if adapted else "base", "prompt": question, "max_tokens": tokens, "temperature": 0}
        if drawn:
            command += ["--temperature", "0.9", "--top-p", "0.95", "--seed", str(seed)]
            body |= {"temperature": 0.9, "top_p": 0.95, "seed": seed}
        return body, json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["text"]

    def start(self):
        self.server = subprocess.Popen(
            [self.arguments.sft, "serve", "--model", self.arguments.model, "--served-name", "base", "--adapter",
             "tuned=" + self.arguments.adapter, "--port", str(self.port), "--workspace", self.workspace,
             "--allow-adapter-loading", "--parallel", "8", "--queue", "24", "--cache-memory", "1024", "--quiet"])
        for _ in range(600):
            try:
                if self.request("GET", "/health")[0] == 200:
                    return
            except OSError:
                time.sleep(0.1)
        sys.exit("the server does not start")

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def request(self, method, path, body=None, raw=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        data = raw if raw is not None else None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json"})
        response = connection.getresponse()
        result = response.status, response.read()
        connection.close()
        return result

    # What clients do, each until the end.

    def asker(self, rng):
        body, expected = rng.choice(self.cases)
        streamed = rng.random() < 0.5
        status, text = self.request("POST", "/v1/completions", body | {"stream": streamed})
        if status == 429:
            self.count("told to come again")
            time.sleep(0.5)
            return
        if streamed:
            pieces = [json.loads(l[6:]) for l in text.decode().splitlines() if l.startswith("data: {")]
            answer = "".join(p["choices"][0].get("text") or "" for p in pieces if p["choices"])
        else:
            answer = json.loads(text)["choices"][0]["text"] if status == 200 else None
        self.count("answers compared")
        if status != 200 or answer != expected:
            with self.lock:
                self.mismatches.append((status, body, expected, answer))

    def leaver(self, rng):
        """Sends a request and goes, at any moment. Half the prompts are new, so that what the server keeps of them fills soon."""
        body, _ = rng.choice(self.cases)
        if rng.random() < 0.5:
            body = body | {"prompt": f"{rng.randrange(10**9)}. {body['prompt']}"}
        data = json.dumps(body | {"stream": rng.random() < 0.7, "max_tokens": 400}).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as s:
            whole = head.encode() + data
            s.sendall(whole[: rng.randrange(1, len(whole) + 1)] if rng.random() < 0.3 else whole)
            time.sleep(rng.random() * 0.5)
            if rng.random() < 0.5:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.count("clients that went")
        time.sleep(rng.random() * 0.5)

    def slow(self, rng):
        body, _ = rng.choice(self.cases)
        data = json.dumps(body | {"stream": True, "max_tokens": 200}).encode()
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            s.connect(("127.0.0.1", self.port))
            s.sendall(
                f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
                + data)
            s.settimeout(30)
            until = time.time() + 20
            while time.time() < until:
                if not s.recv(16):
                    break
                time.sleep(0.2)
        self.count("slow readers")

    def garbage(self, rng):
        body, _ = rng.choice(self.cases)
        raw = bytearray(json.dumps(body).encode())
        for _ in range(rng.randrange(1, 8)):
            place = rng.randrange(len(raw))
            raw[place : place + rng.randrange(3)] = bytes(rng.randrange(256) for _ in range(rng.randrange(4)))
        if rng.random() < 0.2:
            raw = bytearray(rng.randbytes(rng.randrange(5000)))
        status, _ = self.request("POST", rng.choice(["/v1/completions", "/v1/chat/completions", "/v1/nothing"]), raw=bytes(raw))
        self.count("garbage refused" if 400 <= status < 500 else f"garbage, status {status}")
        time.sleep(rng.random() * 0.3)

    def killer(self, rng):
        """A client in a process of its own, killed in the middle: ten a minute."""
        body, _ = rng.choice(self.cases)
        client = subprocess.Popen(
            ["curl", "-sN", f"http://127.0.0.1:{self.port}/v1/completions", "-H", "Content-Type: application/json", "-d",
             json.dumps(body | {"stream": True, "max_tokens": 300})], stdout=subprocess.DEVNULL)
        time.sleep(rng.random() * 3)
        client.send_signal(signal.SIGKILL)
        client.wait()
        self.count("clients killed")
        time.sleep(rng.random() * 6)

    def adapters(self, rng):
        name = f"extra{rng.randrange(3)}"
        self.request("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": os.path.abspath(self.arguments.adapter)})
        self.request("POST", "/v1/completions", {"model": name, "prompt": "Hello", "max_tokens": 5})
        status, _ = self.request("POST", "/v1/unload_lora_adapter", {"lora_name": name})
        self.count("adapters dropped" if status == 200 else "adapters not there")
        time.sleep(1 + rng.random())

    def run(self, what, seed):
        rng = random.Random(seed)
        while time.time() < self.end and self.server.poll() is None:
            try:
                what(rng)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.count(f"{what.__name__}: {type(error).__name__}")
                time.sleep(0.2)

    def memory(self):
        """MiB: of the server's own, and with what is mapped of files, which the system drops and reads again as it likes."""
        with open(f"/proc/{self.server.pid}/status") as file:
            text = file.read()
        return [int(re.search(name + r":\s+(\d+)", text).group(1)) / 1024 for name in ("RssAnon", "VmRSS")]

    def metrics(self):
        lines = [line.split() for line in self.request("GET", "/metrics")[1].decode().splitlines() if line[0] != "#"]
        return {line[0]: line[-1] for line in lines}

    def sample(self, minutes):
        """One line of a series: a leak goes up with the requests, caches stop where they are full."""
        own, resident = self.memory()
        metrics = self.metrics()
        with self.lock:
            requests = sum(self.counts.values())
        print(
            f"{minutes:6.1f} min {requests:>7} requests  {own:6.0f} MiB own  {resident:6.0f} resident  "
            f"{metrics['sft_cache_blocks_used']:>4} cache blocks  {metrics['sft_sequences_running']:>2} running  "
            f"{metrics['sft_http_connections']:>3} connections", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sft", default=".build/release/sft")
    parser.add_argument("--model", required=True)
    parser.add_argument("--adapter", required=True)
    parser.add_argument("--minutes", type=float, default=60)
    load = Load(parser.parse_args())
    load.start()
    kinds = [load.asker] * 6 + [load.leaver] * 3 + [load.slow, load.garbage, load.killer, load.adapters]
    threads = [threading.Thread(target=load.run, args=(kind, i)) for i, kind in enumerate(kinds)]
    for thread in threads:
        thread.start()
    memory, began = [], time.time()
    told, interval = began, min(180, 3 * load.arguments.minutes)
    while time.time() < load.end and load.server.poll() is None:
        time.sleep(min(10, interval, max(0.1, load.end - time.time())))
        try:
            memory.append(load.memory()[0])
            if time.time() >= told + interval:
                told += interval
                load.sample((time.time() - began) / 60)
        except (OSError, http.client.HTTPException, AttributeError):
            # It has died in the meantime.
            pass
    for thread in threads:
        thread.join()
    died = load.server.poll()
    if died is None:
        metrics = load.metrics()
        load.server.send_signal(signal.SIGTERM)
        died = None if load.server.wait() == 0 else load.server.returncode
    for what, count in sorted(load.counts.items()):
        print(f"{count:>7}  {what}")
    tenth = max(1, len(memory) // 10)
    # After a warm-up of a fifth of the time, in which what is kept of prompts fills and the widest batches come.
    early, late = max(memory[2 * tenth : 4 * tenth] or memory or [0]), max(memory[-2 * tenth :] or [0])
    print(f"{(time.time() - began) / 60:.1f} minutes; {early:.0f} MiB of its own early, {late:.0f} MiB at the end")
    for name in ("sft_generated_tokens_total", "sft_cached_prompt_tokens_total", "sft_prompt_tokens_total"):
        if died is None:
            print(name, metrics[name])
    print(f"{len(load.mismatches)} answers differ from sft generate's")
    for mismatch in load.mismatches[:3]:
        print(mismatch)
    sys.exit(1 if load.mismatches or died is not None or late > 1.05 * early + 16 else 0)


main()
