"""Several processes that train together, against one: speed on this machine, hosts with a slow network, and kills.

    ranks.py speed --sft .build/release/sft --model DIR --data FILE [--rounds 3]
        two ranks of one thread beside one process of two threads: LoRA, QLoRA and full fine-tuning, in turns
    ranks.py hosts --sft … --model DIR --data FILE [--hosts 4] [--delay 1ms] [--rate 1gbit]
        ranks in network namespaces of their own, joined by a switch with that delay and rate; the same bits as alone; the time
        of an update measured and predicted, and predicted for more hosts (as root)
    ranks.py kills --sft … [--times 20] [--way still]
        a rank is killed at a random moment, and the run goes on with another number of ranks, until it is at its end: no process
        hangs, no checkpoint is lost, and the weights have the bits of a run that was never stopped (the model inside sft). With
        `--way still` its main thread alone is stopped, as if it hung: the other threads go on (as root)

Needs `make build MPI=1` and Open MPI's mpirun.
"""

import argparse
import ctypes
import fcntl
import hashlib
import heapq
import json
import os
import random
import select
import shutil
import signal
import statistics
import struct
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


class Switch:
    """Carries frames between the hosts, each of which has a tap device: a frame leaves its host at that rate, after those before it,
    and arrives so much later. In place of the kernel's netem, which not every kernel has."""

    def __init__(self, names):
        self.taps = [self.tap(name) for name in names]

    @staticmethod
    def tap(name):
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/self/ns/net") as own, open(f"/run/netns/{name}") as there:
            if libc.setns(there.fileno(), 0x40000000):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
                fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"eth0", 0x1002))  # TUNSETIFF: a tap, frames as they are.
            finally:
                libc.setns(own.fileno(), 0x40000000)
        return tap

    def start(self, delay, rate):
        """With no delay and any rate, or from now on with these."""
        self.stop()
        self.process = os.fork()
        if self.process == 0:
            try:
                self.carry(delay, rate)
            finally:
                os._exit(0)

    def stop(self):
        if getattr(self, "process", None):
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
            self.process = None

    def carry(self, delay, rate):
        places, waiting, number = {}, [], 0
        free = {tap: 0.0 for tap in self.taps}
        while True:
            until = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
            for tap in select.select(self.taps, [], [], until)[0]:
                frame = os.read(tap, 1 << 17)
                places[frame[6:12]] = tap
                free[tap] = max(free[tap], time.monotonic()) + (len(frame) / rate if rate else 0)
                to = places.get(frame[:6])
                number += 1
                heapq.heappush(waiting, (free[tap] + delay, number, frame, [to] if to else [t for t in self.taps if t != tap]))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, frame, targets = heapq.heappop(waiting)
                for target in targets:
                    try:
                        os.write(target, frame)
                    except BlockingIOError:
                        pass  # As a full queue drops it.


class Hosts:
    """Network namespaces behind a switch, with names of their own, that `mpirun` starts processes in."""

    def __init__(self, count, delay, rate, folder):
        self.count, self.tag = count, f"sft{os.getpid() % 10000}"
        self.delay, self.rate = delay, rate
        self.names = [f"{self.tag}h{i}" for i in range(count)]
        for name in self.names:
            self.run("ip", "netns", "add", name)
        self.switch = Switch(self.names)
        for i, name in enumerate(self.names):
            self.run("ip", "-n", name, "addr", "add", f"10.77.0.{i + 1}/24", "dev", "eth0")
            self.run("ip", "-n", name, "link", "set", "eth0", "mtu", "9000", "txqueuelen", "10000", "up")
            self.run("ip", "-n", name, "link", "set", "lo", "up")
        self.switch.start(0, 0)
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
        """From now on every frame takes so long, and no more than so many leave a host."""
        self.switch.start(seconds(self.delay), bytes_a_second(self.rate))

    def launcher(self):
        hosts = ",".join(f"10.77.0.{i + 1}:1" for i in range(self.count))
        return [
            "ip", "netns", "exec", self.names[0], "unshare", "--uts", "sh", "-c", 'hostname host-1; exec "$@"', "sh",
            "mpirun", "--mca", "plm_rsh_agent", self.agent, "--mca", "plm_rsh_no_tree_spawn", "1", "--mca", "btl", "self,tcp",
            "--mca", "btl_tcp_if_include", "10.77.0.0/24", "--mca", "oob_tcp_if_include", "10.77.0.0/24", "--bind-to", "none",
            "--host", hosts, "-n", str(self.count)]

    def close(self):
        self.switch.stop()
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name])


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
        # Of the second half: until then memory is asked for.
        mean = {run: statistics.median(u["seconds"] for u in updates(workspace, run)[options.updates // 2:]) for run in digests}
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
        flags = [*([] if options.kind == "LoRA" else KINDS["full"]), "--max-steps", str(options.updates), "--batch-size", "8",
                 "--shares", "4", "--save-every", "5", "--eval-every", "50"]
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
            killed = time.time()
            if options.way == "kill":
                os.kill(members[victim], signal.SIGKILL)
            else:
                stop_thread(members[victim])
            said = ""
            try:
                said = process.communicate(timeout=60)[1]
            except subprocess.TimeoutExpired:
                hung += 1
                process.kill()
            left = ranks_of(process.pid) or {}
            done += 1
            counts.append(time.time() - killed)
            checkpoints = sorted(os.listdir(f"{folder}/checkpoints")) if os.path.exists(f"{folder}/checkpoints") else []
            if options.way == "still":
                print(*[line for line in said.splitlines() if line.startswith("error")], sep="\n")
            print(f"{done:2}: rank {victim} of {ranks} {'killed' if options.way == 'kill' else 'stopped'} {killed - began:.1f} s after the start, from update {before} to {step()}; "
                  f"all gone {counts[-1]:.1f} s later, {len(left)} left; checkpoints {', '.join(checkpoints) or 'none yet'}", flush=True)
        train(options.sft, workspace, "stopped", ["--resume"])
        same = digest(workspace, "whole") == digest(workspace, "stopped")
        print(f"{done} kills, {hung} hung, all gone after {max(counts):.1f} s at most; weights {'the same bits' if same else 'DIFFER'}")
        if hung or not same:
            raise SystemExit(1)


def stop_thread(thread):
    """Stops one thread, and no other of its process, until this process is at its end or the thread is killed."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    seize, interrupt = 0x4206, 0x4207
    for request in (seize, interrupt):
        if libc.ptrace(request, thread, None, None) != 0:
            raise SystemExit(f"the thread cannot be stopped: {os.strerror(ctypes.get_errno())}")


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
    verbs.choices["kills"].add_argument("--way", choices=["kill", "still"], default="kill")
    verbs.choices["kills"].add_argument("--kind", choices=["LoRA", "full"], default="LoRA")
    verbs.choices["kills"].add_argument("--seed", type=int, default=1)
    verbs.choices["kills"].add_argument("--longest", type=float, default=4)
    options = parser.parse_args()
    options.sft = os.path.abspath(options.sft)
    {"speed": speed, "hosts": hosts, "kills": kills}[options.verb](options)


if __name__ == "__main__":
    main()
