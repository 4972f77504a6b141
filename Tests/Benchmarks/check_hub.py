#!/usr/bin/env python3
"""Checks that `sft fetch` and huggingface_hub leave each other a cache that both find complete.

Needs huggingface_hub (pip). A small server of this process speaks the hub's protocol: the list of files, `resolve` with a redirect to
another host for large files, Range. Then: sft fetches and Python finds everything without asking the network; Python fetches
and sft has nothing to do.

usage: check_hub.py PATH_TO_SFT
"""
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b'{"model_type": "gpt2"}\n',
    "tokenizer.json": b"{}\n",
    "model.safetensors": bytes(range(256)) * 20_000,
    "pytorch_model.bin": b"never fetched",
    "README.md": b"# a model\n",
}
DATA = {"data/train-00000-of-00001.parquet": bytes(range(256)) * 5_000, "README.md": b"# data\n"}
requests = []


def is_large(path):
    return path.endswith((".safetensors", ".parquet", ".bin"))


def etag(path, content):
    if is_large(path):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", headers.get("Content-Length", str(len(body))))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        requests.append((self.command, self.path))
        path = self.path.split("?")[0]
        files = DATA if "/datasets/" in path else FILES
        if path.startswith("/api/"):
            siblings = []
            for name, content in files.items():
                sibling = {"rfilename": name, "size": len(content), "blobId": etag("", content)}
                if is_large(name):
                    sibling["lfs"] = {"sha256": etag(name, content), "size": len(content), "pointerSize": 134}
                siblings.append(sibling)
            kind = "datasets" if "/datasets/" in path else "models"
            name = "/".join(path.split("/")[3:5])
            if "/tree/" in path:
                tree = [{"type": "file", "path": s["rfilename"], "size": s["size"], "oid": s["blobId"],
                         **({"lfs": {"oid": s["lfs"]["sha256"], "size": s["size"], "pointerSize": 134}} if "lfs" in s else {})}
                        for s in siblings]
                return self.reply(200, {"Content-Type": "application/json"}, json.dumps(tree).encode())
            body = json.dumps({"id": name, "sha": COMMIT, "siblings": siblings, "private": False, kind: []}).encode()
            return self.reply(200, {"Content-Type": "application/json"}, body)
        name = path.split(f"/{COMMIT}/")[-1].split("/main/")[-1]
        content = files.get(name)
        if content is None:
            return self.reply(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{etag(name, content)}"', "Accept-Ranges": "bytes"}
        if is_large(name) and not path.startswith("/cdn/"):
            headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(len(content))}
            port = self.server.server_address[1]
            headers["Location"] = f"http://localhost:{port}/cdn{path}"
            return self.reply(302, headers)
        asked = self.headers.get("Range")
        if asked:
            start = int(asked.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self.reply(206, headers, content[start:])
        return self.reply(200, headers, content)


def snapshot(home, endpoint, repository, kind, offline):
    code = f"""
from huggingface_hub import snapshot_download
print(snapshot_download({repository!r}, repo_type={kind!r}, local_files_only={offline},
      allow_patterns=["*.json", "*.safetensors", "*.parquet", "README.md"]))
"""
    environment = dict(os.environ, HF_HOME=home, HF_ENDPOINT=endpoint, HF_HUB_DISABLE_XET="1")
    return subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True,
                          text=True).stdout.strip().splitlines()[-1]


def main():
    sft = os.path.abspath(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    for kind, files, repository in (("model", FILES, "some/model"), ("dataset", DATA, "some/data")):
        wanted = {name: content for name, content in files.items() if not name.endswith(".bin")}

        def fetch(home):
            command = [sft, "fetch", repository, "--json"] + (["--dataset"] if kind == "dataset" else [])
            environment = dict(os.environ, HF_HOME=home, HF_ENDPOINT=endpoint)
            return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)

        with tempfile.TemporaryDirectory() as home:
            report = fetch(home)
            folder = snapshot(home, endpoint, repository, kind, offline=True)
            assert os.path.samefile(folder, report["path"]), (folder, report)
            for name, content in wanted.items():
                with open(os.path.join(folder, name), "rb") as file:
                    assert file.read() == content, name
            before = len(requests)
            assert snapshot(home, endpoint, repository, kind, offline=False) == folder
            assert not [r for r in requests[before:] if r[0] == "GET" and "/resolve/" in r[1]], requests[before:]
            print(f"{kind}: Python finds the {len(wanted)} files that sft fetched, and fetches none again")
        with tempfile.TemporaryDirectory() as home:
            folder = snapshot(home, endpoint, repository, kind, offline=False)
            before = len(requests)
            report = fetch(home)
            assert all(file["cached"] for file in report["files"]) and os.path.samefile(folder, report["path"])
            assert len(requests) == before + 1, requests[before:]
            print(f"{kind}: sft finds the {len(report['files'])} files that Python fetched, and fetches none again")


main()
