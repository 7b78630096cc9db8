"""A BERT encoder as an onnxruntime session, its graph fused by onnxruntime's own optimizer; or that, quantised dynamically."""
import pathlib
import tempfile

import numpy as np


def session(model, threads, quantised=False):
    """The session from ids and mask to states, and how many operators of each kind were fused."""
    import onnxruntime
    import torch
    from onnxruntime.transformers import optimizer

    folder = pathlib.Path(tempfile.mkdtemp())
    example = torch.from_numpy(np.random.default_rng(1).integers(1000, 30000, (2, 16)))
    names = ["input_ids", "attention_mask"]

    class States(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    torch.onnx.export(
        States().eval(), (example, torch.ones_like(example)), str(folder / "model.onnx"), input_names=names, output_names=["states"],
        dynamic_axes={name: {0: "batch", 1: "tokens"} for name in [*names, "states"]}, dynamo=False, opset_version=17)
    fused = optimizer.optimize_model(
        str(folder / "model.onnx"), "bert", num_heads=model.config.num_attention_heads, hidden_size=model.config.hidden_size)
    operators = {name: count for name, count in fused.get_fused_operator_statistics().items() if count}
    path = folder / "fused.onnx"
    fused.save_model_to_file(str(path))
    if quantised:
        import onnx
        from onnxruntime.quantization import quantize_dynamic

        quantize_dynamic(str(path), str(folder / "int8.onnx"), extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
        path = folder / "int8.onnx"
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"]), operators
