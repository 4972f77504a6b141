"""Several processes that train together, against one: speed on this machine, hosts with a slow network, and kills.

    ranks.py speed --sft .build/release/sft --model DIR --data FILE [--rounds 3]
        two ranks of one thread beside one process of two threads: LoRA, QLoRA and full fine-tuning, in turns
    ranks.py hosts --sft … --model DIR --data FILE [--hosts 4] [--delay 1ms] [--rate 1gbit]
        ranks in network namespaces of their own, joined by a bridge with that delay and rate; the same bits as alone; the time
        of an update measured and predicted, and predicted for more hosts (as root, with iproute2)
    ranks.py kills --sft … [--times 20]
        a rank is killed at a random moment, and the run goes on with another number of ranks, until it is at its end: no process
        hangs, no checkpoint is lost, and the weights have the bits of a run that was never stopped (the model inside sft)

Needs `make build MPI=1` and Open MPI's mpirun.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ENVIRONMENT = {
    **os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1"}


def train(sft, workspace, run, arguments, launcher=(), timeout=3600):
    command = [*launcher, sft, "train", "--run", run, "--workspace", workspace, "--quiet", *arguments]
    subprocess.run(command, env=ENVIRONMENT, check=True, timeout=timeout, stdout=subprocess.DEVNULL)


def updates(workspace, run):
    lines = (json.loads(line) for line in open(f"{workspace}/runs/{run}/metrics.jsonl"))
    return [line for line in lines if line["kind"] == "train"]


def rate(workspace, run):
    """Tokens a second, without the first update, in which memory is touched for the first time."""
    some = updates(workspace, run)[1:]
    return sum(u["tokens"] for u in some) / sum(u["seconds"] for u in some)


def digest(workspace, run):
    for name in ("adapter/adapter_model.safetensors", "model/model.safetensors"):
        path = f"{workspace}/runs/{run}/{name}"
        if os.path.exists(path):
            return hashlib.sha256(open(path, "rb").read()).hexdigest()
    raise SystemExit(f"run {run} has no weights")


def prepare(options, workspace):
    subprocess.run(
        [options.sft, "prepare", options.data, "--model", options.model, "--workspace", workspace, "--val", "0", "--quiet",
         "--max-length", "512", "--overlong", "drop"],
        check=True, stdout=subprocess.DEVNULL)


KINDS = {"LoRA": ["--lora-r", "16"], "QLoRA": ["--lora-r", "16", "--qlora"], "full": ["--full"]}


def speed(options):
    with tempfile.TemporaryDirectory(prefix="sft-ranks-") as workspace:
        prepare(options, workspace)
        common = ["--max-steps", str(options.updates), "--batch-size", str(options.batch), "--save-every", "0"]
        ratios = {}
        for kind, flags in KINDS.items():
            if options.kinds and kind not in options.kinds.split(","):
                continue
            for number in range(options.rounds):
                ways = {
                    "one": ((), ["--threads", "2"]),
                    "two": (["mpirun", "--bind-to", "core", "-n", "2"], ["--threads", "1"])}
                for name in list(ways) if number % 2 == 0 else list(ways)[::-1]:
                    launcher, threads = ways[name]
                    train(options.sft, workspace, f"{kind}-{name}-{number}", [*flags, *common, *threads], launcher)
                one, two = (rate(workspace, f"{kind}-{name}-{number}") for name in ("one", "two"))
                ratios.setdefault(kind, []).append((two / one, one, two))
                print(f"{kind:6} one process {one:7.0f} tokens/s, two ranks {two:7.0f}: {two / one:.3f}", flush=True)
                for name in ways:
                    shutil.rmtree(f"{workspace}/runs/{kind}-{name}-{number}")
        for kind, rounds in ratios.items():
            print(f"{kind:6} median of {len(rounds)}: {statistics.median(r[0] for r in rounds):.3f}")


class Hosts:
    """Network namespaces on a bridge, with names of their own, that `mpirun` starts processes in."""

    def __init__(self, count, delay, rate, folder):
        self.count, self.tag = count, f"sft{os.getpid() % 10000}"
        self.names = [f"{self.tag}h{i}" for i in range(count)]
        self.run("ip", "link", "add", self.tag, "type", "bridge")
        self.run("ip", "link", "set", self.tag, "up")
        for i, name in enumerate(self.names):
            self.run("ip", "netns", "add", name)
            self.run("ip", "link", "add", f"{name}v", "type", "veth", "peer", "name", "eth0", "netns", name)
            self.run("ip", "link", "set", f"{name}v", "master", self.tag, "up")
            self.run("ip", "-n", name, "addr", "add", f"10.77.0.{i + 1}/24", "dev", "eth0")
            self.run("ip", "-n", name, "link", "set", "eth0", "up")
            self.run("ip", "-n", name, "link", "set", "lo", "up")
        self.delay, self.rate = delay, rate
        self.agent = f"{folder}/agent"
        with open(self.agent, "w") as file:
            # Called as AGENT HOST COMMAND…, as ssh is.
            file.write(
                "#!/bin/bash\nhost=$1; shift\n"
                f"exec ip netns exec {self.tag}h$((${{host##*.}} - 1)) unshare --uts sh -c "
                "'hostname \"$0\"; eval \"$1\"' \"host-${host##*.}\" \"$*\"\n")
        os.chmod(self.agent, 0o755)

    @staticmethod
    def run(*command):
        subprocess.run(command, check=True)

    def shape(self):
        """From now on every packet that leaves a host takes so long, and no more than so many leave."""
        for name in self.names:
            self.run("ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", "eth0", "root", "netem", "delay", self.delay, "rate",
                     self.rate, "limit", "100000")

    def launcher(self):
        hosts = ",".join(f"10.77.0.{i + 1}:1" for i in range(self.count))
        return [
            "ip", "netns", "exec", self.names[0], "unshare", "--uts", "sh", "-c", 'hostname host-1; exec "$@"', "sh",
            "mpirun", "--mca", "plm_rsh_agent", self.agent, "--mca", "plm_rsh_no_tree_spawn", "1", "--mca", "btl", "self,tcp",
            "--mca", "btl_tcp_if_include", "10.77.0.0/24", "--mca", "oob_tcp_if_include", "10.77.0.0/24", "--bind-to", "none",
            "--host", hosts, "-n", str(self.count)]

    def close(self):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name])
        subprocess.run(["ip", "link", "del", self.tag])


def seconds(text):
    return float(text.removesuffix("ms")) / 1e3 if text.endswith("ms") else float(text.removesuffix("s"))


def bytes_a_second(text):
    for suffix, factor in (("gbit", 1e9), ("mbit", 1e6)):
        if text.endswith(suffix):
            return float(text.removesuffix(suffix)) * factor / 8
    raise SystemExit(f"a rate is such as 1gbit or 100mbit, not {text}")


def exchange(hosts, parameters, delay, rate):
    """Seconds that an update's messages take: the losses; the gradients, of which each host sends and gets what is not its
    stretch; and the sums back. A message is offered, asked for and sent: three ways of `delay`."""
    way = (hosts - 1) / hosts * 4 * parameters / rate
    return delay + 2 * (3 * delay + way) if hosts > 1 else 0.0


def hosts(options):
    if os.geteuid() != 0:
        raise SystemExit("network namespaces are root's to make")
    with tempfile.TemporaryDirectory(prefix="sft-ranks-") as workspace:
        prepare(options, workspace)
        flags = [*KINDS[options.kind], "--max-steps", str(options.updates), "--batch-size", str(options.batch), "--threads", "1",
                 "--shares", str(options.hosts), "--save-every", "0"]
        train(options.sft, workspace, "alone", flags)
        there = Hosts(options.hosts, options.delay, options.rate, workspace)
        try:
            train(options.sft, workspace, "near", flags, there.launcher())
            there.shape()
            train(options.sft, workspace, "far", flags, there.launcher())
        finally:
            there.close()
        digests = {run: digest(workspace, run) for run in ("alone", "near", "far")}
        same = len(set(digests.values())) == 1
        print(f"weights: {'the same bits' if same else digests}")
        trained = json.loads(subprocess.run(
            [options.sft, "inspect", "adapter", f"{workspace}/runs/alone/adapter", "--json"], capture_output=True,
            check=True).stdout) if options.kind != "full" else None
        parameters = trained["parameters"] if trained else int(options.parameters)
        mean = {run: statistics.mean(u["seconds"] for u in updates(workspace, run)[1:]) for run in digests}
        delay, rate_ = seconds(options.delay), bytes_a_second(options.rate)
        predicted = mean["near"] + exchange(options.hosts, parameters, delay, rate_)
        print(f"an update of {options.batch} records, {parameters:,} trained parameters:")
        print(f"  one process of one thread         {mean['alone']:.3f} s")
        print(f"  {options.hosts} hosts, network as it is         {mean['near']:.3f} s (on {os.cpu_count()} cores)")
        print(f"  {options.hosts} hosts, {options.delay} and {options.rate}         {mean['far']:.3f} s, predicted {predicted:.3f} s "
              f"({mean['far'] / predicted - 1:+.0%})")
        print(f"predicted for hosts with a core of their own, {options.delay} and {options.rate}, shares of equal cost:")
        for count in (options.hosts, 8, 64):
            for records in (options.batch, options.batch * count):
                if records < count:
                    continue
                compute = mean["alone"] * records / options.batch / count
                whole = compute + exchange(count, parameters, delay, rate_)
                print(f"  {count:3} hosts, {records:4} records an update: {whole:.3f} s, efficiency {compute / whole:.0%}")
        if not same:
            raise SystemExit(1)


def kills(options):
    with tempfile.TemporaryDirectory(prefix="sft-ranks-") as workspace:
        data = f"{workspace}/data.jsonl"
        with open(data, "w") as file:
            for i in range(60):
                file.write(json.dumps({"instruction": f"What follows {i}?", "input": "", "output": f"{i + 1} follows."}) + "\n")
        subprocess.run([options.sft, "prepare", data, "--workspace", workspace, "--val", "0.1", "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)
        flags = ["--max-steps", str(options.updates), "--batch-size", "8", "--shares", "4", "--save-every", "5", "--eval-every", "50"]
        train(options.sft, workspace, "whole", flags)
        folder = f"{workspace}/runs/stopped"
        done, hung, counts, generator = 0, 0, [], random.Random(options.seed)

        def step():
            try:
                return sum(1 for line in open(f"{folder}/metrics.jsonl") if '"train"' in line)
            except FileNotFoundError:
                return 0

        while done < options.times:
            ranks = generator.choice([2, 3, 4])
            arguments = ["--resume"] if os.path.exists(folder) else flags
            before, began = step(), time.time()
            process = subprocess.Popen(
                ["mpirun", "--bind-to", "none", "-n", str(ranks), options.sft, "train", "--run", "stopped", "--workspace", workspace,
                 "--quiet", *arguments], env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            # Some before the first step, some in the middle, some while a checkpoint is written.
            time.sleep(generator.uniform(0.3, options.longest))
            members = ranks_of(process.pid)
            if process.poll() is not None or not members:
                print(process.communicate()[1][-2000:], file=sys.stderr)
                if process.returncode == 0:
                    raise SystemExit("the run ended before it was killed often enough: more --updates")
                raise SystemExit(f"the run failed by itself: {process.returncode}")
            victim = generator.choice(sorted(members))
            os.kill(members[victim], signal.SIGKILL)
            killed = time.time()
            try:
                process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                hung += 1
                process.kill()
            left = ranks_of(process.pid) or {}
            done += 1
            counts.append(time.time() - killed)
            checkpoints = sorted(os.listdir(f"{folder}/checkpoints")) if os.path.exists(f"{folder}/checkpoints") else []
            print(f"{done:2}: rank {victim} of {ranks} killed {killed - began:.1f} s after the start, from update {before} to {step()}; "
                  f"all gone {counts[-1]:.1f} s later, {len(left)} left; checkpoints {', '.join(checkpoints) or 'none yet'}", flush=True)
        train(options.sft, workspace, "stopped", ["--resume"])
        same = digest(workspace, "whole") == digest(workspace, "stopped")
        checked = subprocess.run([options.sft, "runs", "verify", "stopped", "--workspace", workspace], capture_output=True, text=True)
        print(f"{done} kills, {hung} hung, all gone after {max(counts):.1f} s at most; weights {'the same bits' if same else 'DIFFER'}; "
              f"runs verify: {checked.returncode}")
        if hung or not same:
            raise SystemExit(1)


def ranks_of(parent):
    """The processes below `parent` that are ranks, by their numbers."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            status = open(f"/proc/{name}/stat").read().rsplit(")", 1)[1].split()
            if int(status[1]) != parent:
                continue
            for variable in open(f"/proc/{name}/environ", "rb").read().split(b"\0"):
                if variable.startswith(b"OMPI_COMM_WORLD_RANK="):
                    found[int(variable[21:])] = int(name)
        except OSError:
            continue
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name in ("speed", "hosts", "kills"):
        verb = verbs.add_parser(name)
        verb.add_argument("--sft", required=True)
        if name != "kills":
            verb.add_argument("--model", required=True)
            verb.add_argument("--data", required=True)
            verb.add_argument("--batch", type=int, default=8)
        verb.add_argument("--updates", type=int, default={"speed": 8, "hosts": 8, "kills": 2000}[name])
    verbs.choices["speed"].add_argument("--rounds", type=int, default=3)
    verbs.choices["speed"].add_argument("--kinds", help="such as LoRA,full")
    verbs.choices["hosts"].add_argument("--hosts", type=int, default=4)
    verbs.choices["hosts"].add_argument("--delay", default="1ms")
    verbs.choices["hosts"].add_argument("--rate", default="1gbit")
    verbs.choices["hosts"].add_argument("--kind", choices=KINDS, default="LoRA")
    verbs.choices["hosts"].add_argument("--parameters", help="of the model, for full", default="124439808")
    verbs.choices["kills"].add_argument("--times", type=int, default=20)
    verbs.choices["kills"].add_argument("--seed", type=int, default=1)
    verbs.choices["kills"].add_argument("--longest", type=float, default=4)
    options = parser.parse_args()
    options.sft = os.path.abspath(options.sft)
    {"speed": speed, "hosts": hosts, "kills": kills}[options.verb](options)


if __name__ == "__main__":
    main()
