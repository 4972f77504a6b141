#!/usr/bin/env python3
"""`sft quantize` on a model folder beside what bounds it: quantize.py MODEL [--sft BINARY] [--work DIR] [--cold]

`read` is two threads that read the weights' files from start to end and do nothing with them, `encode` is a slice of the weights that
lies in the page cache, encoded alone (a model of the same shape, one block). `share` is the rate of the whole verb, folder written and
synced, against the slower of the two; `stage` the same of what its progress bar says. --cold has the system forget the weights' files
before each reading. MB are of the stored weights; peak is the process's largest resident size."""
import argparse, json, os, re, shutil, subprocess, sys, tempfile, threading, time
from pathlib import Path
HERE = Path(__file__).resolve().parent
arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
arguments.add_argument("model"); arguments.add_argument("--sft", default=str(HERE.parent.parent / ".build/release/sft"))
arguments.add_argument("--work"); arguments.add_argument("--cold", action="store_true"); arguments.add_argument("--slice")
options = arguments.parse_args()
files = sorted(Path(options.model).glob("*.safetensors")); total = sum(f.stat().st_size for f in files)

def forget():
    if not options.cold: return
    for file in files:
        with open(file, "rb") as handle: os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

def read():
    """Two threads, 8 MB at a time, each every other piece of every file."""
    forget(); piece, start = 8 << 20, time.time()
    def work(number):
        buffer = bytearray(piece)
        for file in files:
            with open(file, "rb", buffering=0) as handle:
                for offset in range(number * piece, file.stat().st_size, 2 * piece): handle.seek(offset); handle.readinto(buffer)
    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for t in threads: t.start()
    for t in threads: t.join()
    return total / (time.time() - start) / 1e6

def run(*words, cwd):
    start = time.time()
    with open(cwd / "err", "w") as err:
        process = subprocess.Popen([options.sft, *map(str, words)], cwd=cwd, stdout=subprocess.DEVNULL, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
    text = (cwd / "err").read_text()
    if status: sys.exit(text)
    return time.time() - start, usage.ru_maxrss / 1000, text

def stage_rate(text):
    """MB/s of the last line of the progress, which counts all of the bytes."""
    rates = re.findall(r"quantising (\d+)/(\d+)  MB, ([\d,]+) MB/s", text)
    return float(rates[-1][2].replace(",", "")) if rates else float("nan")

work = Path(tempfile.mkdtemp(prefix="sft-quantize-", dir=options.work))
try:
    reading = read(); print(f"read        {reading:8.0f} MB/s  two threads", flush=True)
    if options.slice:
        for _ in range(2): _, _, text = run("quantize", "--model", options.slice, "--to", "slice", "--overwrite", "--workspace", "ws0", cwd=work)
        encoding = stage_rate(text); print(f"encode      {encoding:8.0f} MB/s  of the slice {options.slice}, in the page cache", flush=True)
    else: encoding = float("inf")
    bound = min(reading, encoding)
    forget(); seconds, peak, text = run("quantize", "--model", Path(options.model).resolve(), "--to", "out", "--workspace", "ws", cwd=work)
    print(f"quantize    {total / seconds / 1e6:8.0f} MB/s  {seconds:.1f} s, peak {peak:.0f} MB, share {total / seconds / 1e6 / bound:.2f}, "
          f"stage {stage_rate(text) / bound:.2f}", flush=True)
    shutil.rmtree(work / "out", ignore_errors=True)
finally: shutil.rmtree(work)
