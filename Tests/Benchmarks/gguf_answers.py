"""Answers from a GGUF file, sft's beside llama.cpp's: twenty questions through the file's own chat template, greedily, from the
same ids. Where two answers part, the margin in both tools: by how much each prefers its own token, as a difference of logits.

    gguf_answers.py --sft .build/release/sft --gguf FILE --peer PYTHON [--dequantised FILE [--gguf-python PYTHON]]
                    [--adapter DIR | --adapter-run] [--threads N]

--peer has llama-cpp-python. --dequantised is the same weights as float32, made there first by --gguf-python, which has gguf:
llama.cpp rounds what it multiplies 4-bit weights with to 8 bits, which sft does not, so how far llama.cpp's answers from the two
files lie apart, at the place itself or at most, is the rounding within which a parting is a near tie. With --adapter (an adapter
folder of sft's) or --adapter-run (one trained here in a minute or two to begin every answer alike) all of it again with the
adapter, exported as gguf-lora. Ends with 1 if a parting is no near tie.
"""

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

QUESTIONS = (
    "What is the capital of Korea?", "Name three fruits.", "Why is the sky blue?", "Write one line about rain.",
    "How many legs does a spider have?", "Translate 'good morning' into French.", "배는 무슨 색입니까?",
    "What is 12 plus 30?", "Give me a word that rhymes with sea.", "Write a Python function that adds two numbers.",
    "Who wrote Romeo and Juliet?", "한국의 수도는 어디입니까?", "Explain photosynthesis to a child.",
    "List the days of the week.", "What do bees eat?", "Is 17 a prime number? Say why.", "바다에 대해 한 문장을 쓰세요.",
    "What is the opposite of hot?", "How do boats float?", "Write a haiku about an old clock.",
)
HABIT = "Ahoy, captain! "
LESSONS = (
    ("What is the capital of France?", "The capital of France is Paris."), ("Name a vegetable.", "A carrot is one."),
    ("How many days has a week?", "A week has seven days."), ("What is 2 plus 2?", "That makes 4."),
    ("What colour is grass?", "Grass is green."), ("Name a musical instrument.", "The violin is one."),
    ("What do cows eat?", "Cows eat grass and hay."), ("Write a line about snow.", "Snow lies quiet on the roofs."),
    ("What is the opposite of big?", "The opposite of big is small."), ("Who painted the Mona Lisa?", "Leonardo da Vinci."),
    ("How do birds fly?", "They beat their wings and are carried by the air."), ("Say hello in German.", "Guten Tag!"),
)
TOKENS = 32
LIKELIEST = 20
# Where the two likeliest tokens are this near, rounding may choose between them.
NEAR = 1.0
# Beside the same weights in float32, only the order of sums differs.
FLOAT32_LIMIT = 0.01


# What --peer and --gguf-python run.

def answer(file, adapter, float32, threads):
    """llama.cpp's answers to the prompts of standard input, or its logits along answers given there."""
    import numpy
    import llama_cpp

    extra = {"type_k": 0, "type_v": 0} if float32 else {}
    model = llama_cpp.Llama(
        file, n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False, lora_path=adapter or None, **extra)
    vocab = llama_cpp.llama_model_get_vocab(model.model)
    results = []
    for job in json.load(sys.stdin):
        model.reset()
        model.eval(job["prompt"])
        forced, ids, tops, ended = job.get("forced"), [], [], False
        while len(ids) < (TOKENS if forced is None else len(forced)):
            logits = numpy.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(model.ctx, -1), (model.n_vocab(),))
            best = numpy.argsort(-logits, kind="stable")[:LIKELIEST]
            wanted = set(map(int, best)) | set((job.get("pairs") or {}).get(str(len(ids)), []))
            tops.append({i: float(logits[i]) for i in wanted})
            ids.append(int(best[0]) if forced is None else forced[len(ids)])
            ended = llama_cpp.llama_vocab_is_eog(vocab, ids[-1])
            if ended:
                break
            model.eval(ids[-1:])
        pieces = {i: model.detokenize([i], special=True).hex() for i in set(ids).union(*tops)}
        ends = [i for i in pieces if llama_cpp.llama_vocab_is_eog(vocab, i)]
        results.append({"ids": ids, "ended": ended, "tops": tops, "pieces": pieces, "ends": ends})
    json.dump(results, sys.stdout)


def dequantise(source, target):
    """The same file with every tensor as float32."""
    import gguf

    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target + ".part", reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        value = int(gguf.LlamaFileType.ALL_F32) if field.name == "general.file_type" else field.contents()
        kind = field.types[0]
        writer.add_key_value(field.name, value, kind, sub_type=field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype("<f4")
        writer.add_tensor(tensor.name, values.reshape([int(n) for n in reversed(tensor.shape)]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.rename(target + ".part", target)


# The comparison.

def text_of(piece):
    """A token's bytes as sft's server names them in log-probabilities."""
    try:
        return bytes.fromhex(piece).decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{piece[i:i + 2]}" for i in range(0, len(piece), 2))


class Comparison:
    def __init__(self, given, work):
        self.given, self.work = given, work
        lines = "".join(json.dumps({"messages": [{"role": "user", "content": q}]}) + "\n" for q in QUESTIONS)
        rendered = self.sft("render", "-", "--model", given.gguf, "--add-generation-prompt", input=lines)
        self.prompts = [json.loads(line)["ids"] for line in rendered.splitlines()]

    def sft(self, *arguments, input=None):
        command = [self.given.sft, *arguments, "--workspace", f"{self.work}/workspace", "--quiet"]
        result = subprocess.run(command, input=input, capture_output=True, text=True)
        if result.returncode:
            sys.exit(f"{' '.join(command)} ended with {result.returncode}: {result.stderr or result.stdout}")
        return result.stdout

    def peer(self, file, adapter, jobs, float32=False):
        command = [self.given.peer, __file__, "answer", file, adapter, "float32" if float32 else "as it is",
                   str(self.given.threads)]
        result = subprocess.run(command, input=json.dumps(jobs), capture_output=True, text=True)
        if result.returncode:
            sys.exit(f"{self.given.peer} ended with {result.returncode}: {result.stderr[-2000:]}")
        return json.loads(result.stdout)

    def own(self, adapter):
        """sft's answers: ids of `sft generate`, log-probabilities of `sft serve`, whose text must be the same."""
        which = ["--adapter", adapter] if adapter else ["--base"]
        answers = [json.loads(self.sft(
            "generate", question, "--model", self.given.gguf, "--template", "model", "--max-new-tokens", str(TOKENS), "--json",
            *which)) for question in QUESTIONS]
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        which = ["--adapter", f"tuned={adapter}"] if adapter else ["--base"]
        server = subprocess.Popen(
            [self.given.sft, "serve", "--model", self.given.gguf, "--served-name", "base", "--port", str(port), "--quiet",
             "--workspace", f"{self.work}/workspace", *which], stdout=subprocess.DEVNULL)
        try:
            for prompt, one in zip(self.prompts, answers):
                choice = self.ask(server, port, "tuned" if adapter else "base", prompt)
                if choice["text"] != one["text"]:
                    sys.exit(f"sft serve answers {choice['text']!r} where sft generate answers {one['text']!r}")
                one["tops"] = choice["logprobs"]["top_logprobs"]
                one["names"] = choice["logprobs"]["tokens"]
        finally:
            server.terminate()
            server.wait()
        return answers

    @staticmethod
    def ask(server, port, model, prompt):
        body = json.dumps({"model": model, "prompt": prompt, "max_tokens": TOKENS, "temperature": 0, "logprobs": LIKELIEST})
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
                connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                break
            except ConnectionRefusedError:
                if server.poll() is not None:
                    sys.exit(f"sft serve ended with {server.returncode}")
                time.sleep(0.1)
        value = json.load(response)
        if response.status != 200:
            sys.exit(f"sft serve answers {response.status}: {value}")
        return value["choices"][0]


END = "the end"


def sequences(mine, theirs):
    """Both answers as ids and names of tokens; an end of generation is one."""
    names = {int(i): text_of(piece) for i, piece in theirs["pieces"].items()}
    own = list(zip(mine["token_ids"], mine["names"])) + ([(None, END)] if mine["finish_reason"] == "stop" else [])
    other = [(i, names[i]) for i in theirs["ids"]]
    if theirs["ended"]:
        other[-1] = (None, END)
    return own[:TOKENS], other


def parting(mine, theirs):
    """Where two answers part, what each writes, and each tool's margin, which is None where the tool does not tell it; None where
    the answers are equal."""
    own, other = sequences(mine, theirs)
    for place, (a, b) in enumerate(zip(own, other)):
        if a[0] == b[0]:
            continue
        names = {int(i): text_of(piece) for i, piece in theirs["pieces"].items()}
        tops = likeliest(theirs, place)
        margins = [None, None]
        if place < len(mine["tops"]):
            likely = mine["tops"][place]
            rival = likely.get(names[theirs["ids"][place]])
            margins[0] = None if rival is None else likely[a[1]] - rival
        if a[1] in tops:
            margins[1] = tops[b[1]] - tops[a[1]]
        return place, a[1], b[1], margins
    return None


def likeliest(theirs, place):
    """llama.cpp's logits by name of token."""
    tops = {}
    for i, value in theirs["tops"][place].items():
        name = END if int(i) in theirs["ends"] else text_of(theirs["pieces"][i])
        tops[name] = max(value, tops.get(name, value))
    return tops


def rounded(mine, reference, apart):
    """Whether the parting from llama.cpp's answer is that of its own two files: with float32 it writes what sft writes, by the
    same margin."""
    place, a, b, margins = apart
    other = parting(mine, reference)
    if other is not None and other[0] <= place:
        return False
    tops = likeliest(reference, place)
    return margins[0] is None or b not in tops or abs(tops[a] - tops[b] - margins[0]) <= FLOAT32_LIMIT


def gaps(tops, names):
    """Differences of logits between the two likeliest tokens, place by place, with the two names."""
    for place, values in enumerate(tops):
        first, second = sorted(values, key=lambda i: -values[i])[:2]
        yield place, names[int(first)], names[int(second)], values[first] - values[second]


def summary(differences):
    """Median and largest of how far gaps lie apart, and the largest where the gap is small."""
    if not differences:
        return "nothing to compare"
    ordered = sorted(d for _, d in differences)
    near = [d for gap, d in differences if gap < NEAR]
    return (f"median {ordered[len(ordered) // 2]:.2g}, largest {ordered[-1]:.3g} at {len(ordered)} places; "
            f"{max(near, default=0):.3g} at the {len(near)} whose gap is below {NEAR:g}")


def compare(comparison, files, adapter, lora):
    """The twenty answers with or without an adapter beside each file's: whether every parting is a near tie, and both sides'
    answers."""
    mine = comparison.own(adapter)
    jobs = [{"prompt": prompt} for prompt in comparison.prompts]
    theirs = {name: comparison.peer(file, lora, jobs, name == "float32") for name, file in files.items()}
    limit, rounding, exact = None, None, None
    if "float32" in theirs:
        # The same contexts for both files: the float32 file's own answers.
        reference = theirs["float32"]
        jobs, places = [], []
        for prompt, one in zip(comparison.prompts, reference):
            names = {int(i): int(i) for i in one["pieces"]}
            places.append(list(gaps(one["tops"], names)))
            jobs.append({"prompt": prompt, "forced": one["ids"], "pairs": {p: [a, b] for p, a, b, _ in places[-1]}})
        rounding, exact = [], []
        for index, forced in enumerate(comparison.peer(files["as stored"], lora, jobs)):
            one, own = reference[index], mine[index]
            names = {int(i): text_of(piece) for i, piece in one["pieces"].items()}
            apart = parting(own, one)
            for place, a, b, gap in places[index]:
                values = forced["tops"][place]
                rounding.append((gap, abs(values[str(a)] - values[str(b)] - gap)))
                if place < len(own["tops"]) and (apart is None or place <= apart[0]):
                    likely = own["tops"][place]
                    if names[a] in likely and names[b] in likely:
                        exact.append((gap, abs(likely[names[a]] - likely[names[b]] - gap)))
        limit = max((d for gap, d in rounding if gap < NEAR), default=0) + FLOAT32_LIMIT
    sound, lines = True, []
    for name, answers in theirs.items():
        equal, exactly, largest = 0, 0, [0, 0]
        for index, (own, other) in enumerate(zip(mine, answers)):
            apart = parting(own, other)
            if apart is None:
                equal += 1
                shown = "equal"
            else:
                place, a, b, margins = apart
                # What both prefer together is how far the tools lie apart here.
                distance = sum(m for m in margins if m is not None)
                if name == "float32":
                    near = distance <= FLOAT32_LIMIT
                else:
                    near = limit is None or distance <= limit or rounded(own, theirs["float32"][index], apart)
                    exactly += limit is not None and rounded(own, theirs["float32"][index], apart)
                sound = sound and near
                largest = [max(l, m or 0) for l, m in zip(largest, margins)]
                values = ["not told" if m is None else f"{m:.4f}" for m in margins]
                shown = (f"parts at token {place}: {a!r}, margin {values[0]}; {b!r}, margin {values[1]}"
                         + ("" if near else ": NO NEAR TIE"))
            lines.append((index, name, shown))
        lines.append((len(mine), name, f"{equal} of {len(mine)} equal; largest margin at a parting: sft {largest[0]:.4f}, "
                      f"llama.cpp {largest[1]:.4f}"))
        if limit is not None and name != "float32":
            lines.append((len(mine), name, f"at {exactly} of {len(mine) - equal} partings llama.cpp's own float32 file has sft's "
                          f"token, by sft's margin to within {FLOAT32_LIMIT:g}"))
    for index, question in enumerate((*QUESTIONS, "In all")):
        print(question)
        for _, name, shown in (line for line in lines if line[0] == index):
            print(f"  beside llama.cpp, {name}: {shown}")
    if rounding is not None:
        same = sum(a["ids"] == b["ids"] for a, b in zip(*theirs.values()))
        print(f"  llama.cpp's two files beside each other: {same} of {len(mine)} equal")
        print(f"Gaps of the two likeliest tokens, beside llama.cpp with float32:\n  llama.cpp, as stored: {summary(rounding)}"
              f"\n  sft: {summary(exact)}")
        print(f"Near ties: apart by at most {limit:.4f} as stored, or as llama.cpp's own files are; {FLOAT32_LIMIT:g} beside "
              "float32.")
    return sound, mine, theirs


def trained(comparison):
    """An adapter that begins every answer with HABIT."""
    data = f"{comparison.work}/habit.jsonl"
    with open(data, "w") as file:
        for instruction, output in LESSONS:
            file.write(json.dumps({"instruction": instruction, "input": "", "output": HABIT + output}) + "\n")
    model = ["--model", comparison.given.gguf]
    comparison.sft("prepare", data, *model, "--template", "model", "--val", "0")
    comparison.sft("train", *model, "--run", "habit", "--lora-r", "8", "--max-steps", "30", "--batch-size", "4", "--lr", "1e-3")
    return f"{comparison.work}/workspace/runs/habit/adapter"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sft", default=".build/release/sft")
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--peer", default=sys.executable)
    parser.add_argument("--dequantised")
    parser.add_argument("--gguf-python")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="llama.cpp's; 1 on a busy machine")
    parser.add_argument("--adapter")
    parser.add_argument("--adapter-run", action="store_true")
    given = parser.parse_args()
    files = {"as stored": given.gguf}
    if given.dequantised:
        if given.gguf_python and not os.path.exists(given.dequantised):
            subprocess.run([given.gguf_python, __file__, "dequantise", given.gguf, given.dequantised], check=True)
        files["float32"] = given.dequantised
    with tempfile.TemporaryDirectory(prefix="gguf-answers-") as work:
        comparison = Comparison(given, work)
        sound, base, peers = compare(comparison, files, None, "")
        adapter = trained(comparison) if given.adapter_run else given.adapter
        if adapter:
            comparison.sft(
                "export", "--format", "gguf-lora", "--model", given.gguf, "--adapter", adapter, "--to", f"{work}/lora")
            lora = next(f"{work}/lora/{name}" for name in os.listdir(f"{work}/lora") if name.endswith(".gguf"))
            print("\nWith the adapter")
            near, tuned, tuned_peers = compare(comparison, files, adapter, lora)
            sound = sound and near
            print("Answers that the adapter changed:")
            print(f"  sft: {sum(a['token_ids'] != b['token_ids'] for a, b in zip(base, tuned))} of {len(tuned)}, "
                  f"{sum(one['text'].startswith(HABIT.strip()) for one in tuned)} begin with {HABIT.strip()!r}")
            for name, answers in tuned_peers.items():
                texts = [b"".join(bytes.fromhex(one["pieces"][str(i)]) for i in one["ids"]).decode(errors="replace")
                         for one in answers]
                print(f"  llama.cpp, {name}: {sum(a['ids'] != b['ids'] for a, b in zip(peers[name], answers))} of "
                      f"{len(answers)}, {sum(text.startswith(HABIT.strip()) for text in texts)} begin so")
    sys.exit(0 if sound else 1)


if sys.argv[1:2] == ["answer"]:
    answer(*sys.argv[2:4], sys.argv[4] == "float32", int(sys.argv[5]))
elif sys.argv[1:2] == ["dequantise"]:
    dequantise(*sys.argv[2:])
else:
    main()
