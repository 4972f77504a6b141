#!/usr/bin/env python3
"""How an update would go on 2 to 64 cores, by what `sft train --profile` records of it: scaling.py --model DIR --records FILE
[--kinds lora,qlora,full] [--batch N,N] [--threads T] [--steps N] [--check] [--oversubscribe] [--sft BINARY]

For each kind of training and each batch a run is recorded on --threads threads (default: all cores of this machine) and on 32,
which on fewer cores is the work cut as on 32 and done by those there are; what is predicted for 32 cores from either should
agree. --check times updates on one thread and on two, in turns, beside what the first predicts for the second.
--oversubscribe times updates with 4 to 32 threads beside those with two. Times are medians of the updates' after the first.
Needs Python and nothing else."""
import argparse, json, os, statistics, subprocess, sys, tempfile
from pathlib import Path
HERE = Path(__file__).resolve().parent

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--model", required=True); arguments.add_argument("--records", required=True)
arguments.add_argument("--kinds", default="lora,qlora,full"); arguments.add_argument("--batch", default="8")
arguments.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0))); arguments.add_argument("--steps", type=int, default=4)
arguments.add_argument("--repeats", type=int, default=3); arguments.add_argument("--check", action="store_true")
arguments.add_argument("--oversubscribe", action="store_true"); arguments.add_argument("--slow", type=int, default=4, help="loop kinds shown")
arguments.add_argument("--sft", default=str(HERE.parent.parent / ".build/release/sft"))
options = arguments.parse_args()
options.sft = Path(options.sft).resolve()
work = Path(tempfile.mkdtemp(prefix="sft-scaling-"))
FLAGS = dict(lora=["--lora-r", 16], qlora=["--lora-r", 16, "--qlora"], full=["--full"])
runs = 0

def sft(*words):
    done = subprocess.run([options.sft, *map(str, words)], cwd=work, capture_output=True, text=True)
    if done.returncode: sys.exit(f"sft {' '.join(map(str, words))}\n{done.stderr}")
    return done.stdout

def train(kind, batch, threads, *flags):
    """The report, and the median seconds of an update but the first."""
    global runs
    runs += 1
    out = json.loads(sft("train", *FLAGS[kind], "--batch-size", batch, "--max-steps", options.steps, "--threads", threads, "--save-every", 0,
                         "--run", f"r{runs}", "--json", "--quiet", *flags))
    lines = [json.loads(line) for line in (work / f".sft/runs/r{runs}/metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "tokens_per_second" in line][1:]
    return out, statistics.median(line["seconds"] for line in steps), statistics.mean(line["tokens"] for line in steps)

def table(scaling, other):
    print(f"  {'cores':>5} {'seconds':>9} {'efficiency':>10} {'one thread':>11} {'loops':>9} {'starts':>9} {'cut for 32':>11}")
    for row, cut in zip(scaling["predictions"], other["predictions"]):
        at = f"{cut['seconds']:>11.4f}" if cut["cores"] == 32 else ""
        print(f"  {row['cores']:>5} {row['seconds']:>9.4f} {row['efficiency']:>10.0%} {row['serial_seconds']:>11.5f} {row['loop_seconds']:>9.4f} "
              f"{row['synchronization_seconds']:>9.5f} {at}")

def main():
    sft("prepare", Path(options.records).resolve(), "--model", Path(options.model).resolve(), "--val", 0, "--quiet")
    for kind in options.kinds.split(","):
        for batch in map(int, options.batch.split(",")):
            report, seconds, tokens = train(kind, batch, options.threads, "--profile")
            scaling = report["profile"]["scaling"]
            cut = train(kind, batch, 32, "--profile")[0]["profile"]["scaling"]
            cost = scaling["loop_cost"]
            print(f"{kind}, {batch} records an update, {tokens:.0f} tokens, recorded on {options.threads} threads: {scaling['seconds']:.3f} s, "
                  f"{scaling['loops']:.0f} loops, {scaling['wakes']:.0f} of which woke threads; a pair's start and end {cost['pair_seconds'] * 1e6:.1f} µs, "
                  f"a contended addition {cost['contended_seconds'] * 1e9:.0f} ns, waking {cost['wake_seconds'] * 1e6:.0f} µs")
            table(scaling, cut)
            place = [row["cores"] for row in scaling["predictions"]].index(32)
            for row in sorted(scaling["operations"], key=lambda row: -row["serial_seconds"])[:options.slow]:
                print(f"  outside of loops: {row['operation']:<20} {row['serial_seconds'] * 1e3:8.3f} ms")
            def lost(row): return row["predicted_seconds"][place] - row["busy_seconds"] / 32
            for row in sorted(scaling["loop_kinds"], key=lost, reverse=True)[:options.slow]:
                print(f"  idle on 32 cores: {row['operation']:<20} {row['pieces']:>5} pieces {row['loops']:>7.1f} loops, {lost(row) * 1e3:7.2f} ms lost of "
                      f"{row['predicted_seconds'][place] * 1e3:7.2f}")
            if options.check:
                one, two, predicted = [], [], []
                for _ in range(options.repeats):
                    one.append(train(kind, batch, 1)[1]); two.append(train(kind, batch, 2)[1])
                    recorded = train(kind, batch, 1, "--profile")[0]["profile"]["scaling"]["predictions"]
                    predicted.append(recorded[1]["seconds"])
                print(f"  check: {statistics.median(one):.3f} s on one thread, {statistics.median(predicted):.3f} s predicted from it for two, "
                      f"{statistics.median(two):.3f} s measured", flush=True)
            if options.oversubscribe:
                times = {threads: [] for threads in (2, 4, 8, 16, 32)}
                for _ in range(options.repeats):
                    for threads in times: times[threads].append(train(kind, batch, threads)[1])
                base = statistics.median(times[2])
                print("  with more threads than cores: " + ", ".join(
                    f"{threads} threads {statistics.median(some):.3f} s ({statistics.median(some) / base:.2f}×)" for threads, some in times.items()), flush=True)

main()
