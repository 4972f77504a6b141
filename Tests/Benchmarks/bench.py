#!/usr/bin/env python3
"""Speed and memory of sft's verbs on a GPT-2-124M-shaped model: bench.py [--full] [--peer PYTHON] [--model DIR] [--records FILE]

Without --model and --records, both are made here. `share` is the part of this machine's sgemm peak (`sft doctor`) that
training's matrix products reach, whatever else a step does counted in; `first` the seconds from the start of the command to
its first step; MB the process's largest resident size. Steps are timed without the first one. --peer names a Python with torch,
transformers, peft, trl and datasets: the same training with them follows, from the same records, and the ratio of tokens/s.
The quick run takes about three minutes on two cores, --full about an hour. Needs Python and nothing else."""
import argparse, json, os, random, re, shutil, subprocess, sys, tempfile, time
from pathlib import Path
from alpaca import prompt
from make_corpus import COMMON, Text
HERE = Path(__file__).resolve().parent; SFT = str(HERE.parent.parent / ".build/release/sft")

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--full", action="store_true", help="every combination, more steps")
arguments.add_argument("--peer", metavar="PYTHON"); arguments.add_argument("--model", metavar="DIR")
arguments.add_argument("--records", metavar="FILE", help="Alpaca records in place of the made short ones")
options = arguments.parse_args()
work = Path(tempfile.mkdtemp(prefix="sft-bench-")); budget = 12000 if options.full else 1500
peak = 0.0

def command(*words, poll=None):
    """Runs sft; gives standard output, seconds, largest resident MB, and when `poll` first had a line."""
    start, seen = time.time(), None
    with open(work / "out", "w") as out, open(work / "err", "w") as err:
        process = subprocess.Popen([SFT, *map(str, words)], stdout=out, stderr=err, cwd=work)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if poll and not seen and poll.exists() and poll.stat().st_size: seen = time.time()
        if pid: break
        time.sleep(.005)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode: sys.exit(f"sft {' '.join(map(str, words))}\n" + (work / "err").read_text())
    return (work / "out").read_text(), time.time() - start, usage.ru_maxrss / 1000, seen and seen - start

def measure_peak():
    global peak
    report = json.loads(command("doctor", "--json")[0]); peak = max(peak, report["sgemm_gflops"]); return report

def of_length(tokens, count, seed, overhead):
    """Records of about `tokens` tokens: common words are a token each."""
    rnd = random.Random(seed); words = lambda n: " ".join(rnd.choice(COMMON) for _ in range(n))
    answer = max(2, min(tokens // 4, tokens - overhead - 4))
    return [dict(instruction=words(max(1, tokens - overhead - answer)), output=words(answer)) for _ in range(count)]

def write(name, records):
    path = work / (name + ".jsonl"); path.write_text("".join(json.dumps(r) + "\n" for r in records)); return path

def prepare(name, path):
    out, seconds, _, _ = command("prepare", path, "--model", model, "--val", 0, "--workspace", name, "--json")
    report = json.loads(out)["summary"]; return report["tokens"] / report["training"], seconds

runs = 0
def train(name, length, size, *flags, accumulation=1):
    """A run of as many steps as the budget of tokens allows, three at least."""
    global runs, peak
    runs += 1
    steps = max(3, round(budget / (length * size * accumulation)))
    metrics = work / name / f"runs/r{runs}/metrics.jsonl"
    out, _, memory, first = command("train", "--workspace", name, "--run", f"r{runs}", "--lora-r", 16, "--batch-size", size, "--grad-accum",
                                    accumulation, "--max-steps", steps, "--save-every", 0, "--profile", "--json", "--quiet", *flags, poll=metrics)
    lines = [json.loads(l) for l in metrics.read_text().splitlines()]; profile = json.loads(out)["profile"]
    peak = max(peak, profile["sgemm_gflops"])
    rate = sum(l["tokens"] for l in lines[1:]) / sum(l["seconds"] for l in lines[1:])
    return rate, profile["product_gflop"] / profile["training_seconds"] / peak, memory, first - lines[0]["seconds"], steps

def peer(title, ours, script, *words):
    """The rate and memory that a script prints, and ours beside it."""
    result = subprocess.run([options.peer, str(HERE / script), *map(str, words)], capture_output=True, text=True, cwd=work)
    found = re.search(r"(\d+) tokens/s, (\d+) MB", result.stdout)
    if not found: print(f"  {title:<26} failed: {(result.stderr.strip().splitlines() or ['no output'])[-1]}", flush=True); return
    print(f"  {title:<26}{found[1]:>9}{'':>16}{found[2]:>7}   sft is {ours / float(found[1]):.1f} times as fast", flush=True)

def main():
    global model
    report = measure_peak()
    print(f"machine     {report['threads']} threads, {report['linear_algebra']['kernels']}, OpenBLAS {report['linear_algebra']['core_type']}, "
          f"{report['sgemm_gflops']:.0f} GFLOP/s, memory {report['memory_gigabytes_per_second_all_threads']:.0f} GB/s")
    for remark in report["remarks"]: print(f"note        {remark}")
    model = options.model and Path(options.model).resolve()
    if not model:
        model = work / "gpt2-124m"; subprocess.run([sys.executable, HERE / "make_gpt2.py", model], check=True)
    write("one", [dict(text=prompt(dict(instruction="the", input="")))])
    overhead = len(json.loads(command("tokenize", work / "one.jsonl", "--model", model)[0])["ids"])

    text = Text(2); shortest = overhead + 20
    sets = {"short": Path(options.records).resolve() if options.records else write("short", of_length(shortest, 400, 1, overhead)),
            "alpaca-like": write("alpaca-like", [text.record() for _ in range(200)]),
            "1,024 tokens": write("long", of_length(1000, 64, 1, overhead))}
    lengths = {}
    for name, path in sets.items(): lengths[name], _ = prepare(name, path)
    command("train", "--workspace", "short", "--qlora", "--max-steps", 1, "--batch-size", 1, "--quiet")  # quantises the base
    for name in list(sets)[1:]: shutil.copytree(work / "short/artifacts/quantized", work / name / "artifacts/quantized")
    cells = [(k, s, b) for s in sets for b in (1, 8, 32) for k in ("lora", "qlora")] if options.full else \
        [("lora", "short", 1), ("lora", "short", 8), ("qlora", "short", 8), ("lora", "alpaca-like", 8), ("lora", "1,024 tokens", 1)]
    print(f"\n  {'training, LoRA r 16':<26}{'tokens/s':>9}{'share':>8}{'first':>8}{'MB':>7}   steps", flush=True)
    for kind, name, size in cells:
        split = 4 if size == 32 and lengths[name] > 900 else 1  # 32 × 1,024 tokens at once would take 12 GB
        rate, share, memory, start, steps = train(name, lengths[name], size // split, *(["--qlora"] if kind == "qlora" else []), accumulation=split)
        title = f"{kind}, {name}, {size}" + (f" = {split} × {size // split}" if split > 1 else "")
        print(f"  {title:<26}{rate:>9.0f}{100 * share:>7.0f}%{start:>7.2f}s{memory:>7.0f}   {steps}", flush=True)
        if options.peer and kind == "lora" and (options.full and size == 8 or name == "short" and size == 8):
            rounds = max(5, min(12, round(budget / lengths[name] / size)))  # the first two are not counted
            peer("  TRL + PEFT", rate, "train_trl.py", model, sets[name], rounds, size)
            for mode in ("eager", "compile") if options.full else ("eager",):
                peer(f"  PyTorch loop, {mode}", rate, "train_torch.py", mode, model, sets[name], rounds, size)

    print(f"\n  {'cost by length, batch 4':<26}{'tokens/s':>9}{'share':>8}{'ms/token':>10}{'MB':>7}{'kB/token':>10}", flush=True)
    first = None
    for tokens in (64, 128, 256, 512, 768, 1024) if options.full else (64, 256, 1024):
        name = f"length-{tokens}"; length, _ = prepare(name, write(name, of_length(min(tokens, 1000), 16, 3, overhead)))
        rate, share, memory, _, _ = train(name, length, 4)
        first = first or (length, memory)
        slope = f"{1000 * (memory - first[1]) / (4 * (length - first[0])):>10.0f}" if length > first[0] else ""
        print(f"  {f'{length:.0f} tokens':<26}{rate:>9.0f}{100 * share:>7.0f}%{1000 / rate:>10.2f}{memory:>7.0f}{slope}", flush=True)

    print(f"\n  {'other verbs':<26}{'':>9}{'seconds':>10}{'MB':>7}", flush=True)
    megabytes = 50 if options.full else 10
    with open(work / "corpus.jsonl", "w") as out: subprocess.run([sys.executable, HERE / "make_corpus.py", str(megabytes), "1"], stdout=out, check=True)
    _, seconds, memory, _ = command("prepare", work / "corpus.jsonl", "--model", model, "--workspace", "corpus", "--overlong", "drop")
    print(f"  {f'prepare {megabytes} MB':<26}{f'{megabytes / seconds:.1f} MB/s':>12}{seconds:>7.2f}{memory:>7.0f}", flush=True)
    count = 100 if options.full else 12
    path = write("eval", [text.record() for _ in range(count)])
    tokens = prepare("eval-set", path)[0] * count
    for flag in ([], ["--qlora"]):
        _, seconds, memory, _ = command("eval", "--model", model, "--data", path, "--json", "--workspace", "short", *flag)
        print(f"  {' '.join([f'eval {tokens:.0f} tokens'] + flag):<26}{f'{tokens / seconds:.0f}/s':>12}{seconds:>7.2f}{memory:>7.0f}", flush=True)
    for flag in ([], ["--qlora"]):
        def generate(n):
            out, seconds, memory, _ = command("generate", "--model", model, "--prompt", "the of and to a in is that", "--max-new-tokens", n,
                                              "--json", "--workspace", "short", *flag)
            return len(json.loads(out)["token_ids"]), seconds, memory
        few, many = generate(1), generate(192 if options.full else 64)
        rate = (many[0] - few[0]) / max(many[1] - few[1], 1e-9)
        print(f"  {' '.join([f'decode {many[0]} tokens'] + flag):<26}{f'{rate:.1f}/s':>12}{many[1]:>7.2f}{many[2]:>7.0f}", flush=True)
    measure_peak(); print(f"\n  sgemm peak, the best of all times it was measured: {peak:.0f} GFLOP/s; shares above are of the best until then")

try: main()
finally: shutil.rmtree(work, ignore_errors=True)
