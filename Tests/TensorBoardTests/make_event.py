"""Prints the bytes that EventFileTests expects, made with TensorBoard's own message classes and record writer."""

import io

from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2
from tensorboard.summary.writer.record_writer import RecordWriter


class Sink(io.BytesIO):
    def close(self):
        pass


scalars = event_pb2.Event(wall_time=1_700_000_000.25, step=300)
scalars.summary.value.add(tag="train/loss", simple_value=2.5)
scalars.summary.value.add(tag="train/lr", simple_value=2e-4)
sink = Sink()
RecordWriter(sink).write(scalars.SerializeToString())
print("scalars", sink.getvalue().hex())

text = event_pb2.Event(wall_time=1, step=7)
shape = tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=1)])
tensor = tensor_pb2.TensorProto(dtype="DT_STRING", tensor_shape=shape, string_val=["grüße\n    日本".encode()])
metadata = summary_pb2.SummaryMetadata(data_class=summary_pb2.DATA_CLASS_TENSOR)
metadata.plugin_data.plugin_name = "text"
text.summary.value.add(tag="sample", tensor=tensor, metadata=metadata)
print("text", text.SerializeToString().hex())
