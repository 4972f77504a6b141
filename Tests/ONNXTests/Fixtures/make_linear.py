#!/usr/bin/env python3
"""A small model by the onnx package, to compare files written by this project with.

    python3 make_linear.py linear.onnx

y[N, 3, 1] = (x[N, 2] · wᵀ + b) · 0.5 + shift, with a scalar, a shape and a vector among the constants.
"""
import sys
import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 2])]
outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 3, 1])]
constants = [
    numpy_helper.from_array(np.array(0.5, np.float32), "float.0.5"),
    numpy_helper.from_array(np.array([-1, 3, 1], np.int64), "ints.-1,3,1"),
    numpy_helper.from_array(np.array([1.5, -2, 0.25], np.float32), "shift"),
    numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(3, 2), "w"),
    numpy_helper.from_array(np.array([1, 2, 3], np.float32), "b"),
]
nodes = [
    helper.make_node("Gemm", ["x", "w", "b"], ["layer/Gemm_output"], "layer/Gemm", transB=1),
    helper.make_node("Mul", ["layer/Gemm_output", "float.0.5"], ["layer/Mul_output"], "layer/Mul"),
    helper.make_node("Add", ["layer/Mul_output", "shift"], ["layer/Add_output"], "layer/Add"),
    helper.make_node("Reshape", ["layer/Add_output", "ints.-1,3,1"], ["y"], "layer/Reshape"),
]
model = helper.make_model(
    helper.make_graph(nodes, "small", inputs, outputs, constants), producer_name="sft", ir_version=8,
    opset_imports=[helper.make_opsetid("", 17)])
helper.set_model_props(model, {"model_type": "test"})
checker.check_model(model, full_check=True)
save(model, sys.argv[1])
