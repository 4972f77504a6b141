# Compares the logits of another tool with sft's. sft runs it, one of this folder's other scripts appended.
#
# Standard input: one line of JSON, then nothing for as long as sft lives. Descriptor 3: sft's logits, little-endian float32,
# [all prompts' tokens, vocabulary]. Standard output: one line of JSON. Any failure: an exit code, and words on standard error.
import sys

# No module of the folder that sft happens to run in.
sys.path[:] = [folder for folder in sys.path if folder]
import importlib.util
import json
import os
import threading

os.environ.update(
    HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TOKENIZERS_PARALLELISM="false",
    CUDA_VISIBLE_DEVICES="")


def leave_with_sft():
    while os.read(0, 1):
        pass
    os._exit(1)


def compare(expected, actual):
    import numpy

    actual = numpy.asarray(actual, dtype=numpy.float32)
    if actual.shape != expected.shape:
        sys.exit(f"it gives logits of shape {list(actual.shape)} where sft gives {list(expected.shape)}")
    difference = float(numpy.abs(actual.astype(numpy.float64) - expected).max())
    own, other = expected.argmax(1), actual.argmax(1)
    unequal = numpy.flatnonzero(own != other)
    result = {
        "difference": difference if numpy.isfinite(difference) else None, "compared": len(own),
        "agreeing": len(own) - len(unequal)}
    if len(unequal):
        row = int(unequal[0])
        result["position"] = row
        result["margin"] = float(expected[row, own[row]] - expected[row, other[row]])
    return result


def verify(load):
    """`load` takes the request and returns the tool's name with its version, a list of (name, function from ids to logits), a
    function from a text to ids, or None, and the number of tokens that a prompt is cut to, or None."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What libraries print is no answer.
    os.dup2(2, 1)
    request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=leave_with_sft, daemon=True).start()
    missing = [package for module, package in request["packages"] if importlib.util.find_spec(module) is None]
    if missing or "prompts" not in request:
        result = {"missing": missing}
    else:
        import numpy

        prompts, columns = request["prompts"], request["columns"]
        rows = sum(len(prompt["ids"]) for prompt in prompts)
        expected = numpy.memmap(os.fdopen(3, "rb"), dtype="<f4", mode="r", shape=(rows, columns))
        tool, checks, tokenize, limit = load(request)
        results = [{"name": name, "prompts": []} for name, _ in checks]
        first = 0
        for prompt in prompts:
            ids = prompt["ids"][:limit]
            own = numpy.array(expected[first : first + len(ids)])
            first += len(prompt["ids"])
            for result, (_, logits) in zip(results, checks):
                result["prompts"].append(compare(own, logits(ids)))
        tokens = [list(map(int, tokenize(prompt["text"]))) if tokenize else None for prompt in prompts]
        result = {"missing": [], "tool": tool, "checks": results, "tokens": tokens}
    answer.write(json.dumps(result, allow_nan=False) + "\n")
    answer.flush()
    # Not through the libraries' own farewells, which may fail or take long.
    os._exit(0)
