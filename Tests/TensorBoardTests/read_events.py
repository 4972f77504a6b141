"""Reads a run's event files with the real TensorBoard and compares them with the run's metrics.jsonl.

    pip install tensorboard
    python read_events.py DIR/RUN WORKSPACE/runs/RUN

Every metric must be there once, in order and with its value (in float32), every sample as text, and the settings in the
hparams plugin. Exits with 1 where something is not so.
"""

import json
import struct
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata, plugin_data_pb2

UNLIMITED = {"scalars": 0, "tensors": 0}


def float32(value):
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return float("inf")


def main(events, run):
    accumulator = EventAccumulator(events, size_guidance=UNLIMITED)
    accumulator.Reload()
    lines = [json.loads(line) for line in open(f"{run}/metrics.jsonl")]
    expected = {}
    for line in lines:
        for key, value in line.items():
            if line["kind"] != "sample" and key not in ("kind", "step"):
                expected.setdefault(f"{line['kind']}/{key}", []).append((line["step"], float32(value)))
    tags = accumulator.Tags()
    assert sorted(tags["scalars"]) == sorted(expected), (tags["scalars"], sorted(expected))
    for tag, values in expected.items():
        found = [(event.step, event.value) for event in accumulator.Scalars(tag)]
        assert found == values, (tag, found, values)

    samples = [line for line in lines if line["kind"] == "sample"]
    if samples:
        assert accumulator.SummaryMetadata("sample").plugin_data.plugin_name == "text"
        texts = [(event.step, event.tensor_proto.string_val[0].decode()) for event in accumulator.Tensors("sample")]
        assert [step for step, _ in texts] == [line["step"] for line in samples]
        for (_, text), line in zip(texts, samples):
            prompt, answer = (["    " + row for row in line[key].splitlines()] for key in ("prompt", "text"))
            assert all(row in text for row in prompt + answer), (text, line)
    configuration = accumulator.Tensors("configuration")
    assert len(configuration) == 1 and '"learningRate"' in configuration[0].tensor_proto.string_val[0].decode()

    settings = json.load(open(f"{run}/config.json"))["settings"]
    content = accumulator.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    start = metadata.parse_session_start_info_plugin_data(content)
    if "lora" in settings:
        assert start.hparams["lora_r"].number_value == settings["lora"]["rank"]
    assert start.hparams["lr"].number_value == settings["schedule"]["learningRate"]
    assert start.hparams["scheduler"].string_value == settings["schedule"]["kind"]
    assert start.hparams["shuffle"].bool_value == settings["shuffle"]
    content = accumulator.SummaryMetadata(metadata.EXPERIMENT_TAG).plugin_data.content
    experiment = metadata.parse_experiment_plugin_data(content)
    assert {info.name for info in experiment.hparam_infos} == set(start.hparams)
    assert all(info.name.tag in expected for info in experiment.metric_infos)
    content = accumulator.SummaryMetadata(metadata.SESSION_END_INFO_TAG).plugin_data.content
    assert isinstance(plugin_data_pb2.HParamsPluginData.FromString(content), plugin_data_pb2.HParamsPluginData)
    print(f"{len(lines)} metrics, {len(expected)} scalar tags, {len(samples)} samples, {len(start.hparams)} settings: equal")


if __name__ == "__main__":
    main(*sys.argv[1:3])
