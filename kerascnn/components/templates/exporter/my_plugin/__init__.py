"""The exporter `my_component`: the network as JSON, and its weights in one file of NumPy."""

from typing import Literal

from pydantic import Field

from kerascnn import Component, Exporter, Params, hookimpl

NETWORK, WEIGHTS = "network.json", "weights.npz"


class JsonParams(Params):
    """The component's parameters, for --set; `plugins show` lists descriptions and bounds."""

    precision: Literal["float32", "float16"] = Field(
        "float32", description="Of the weights; float16 halves the file."
    )


def build(params):
    """Returns the two functions; if a package is missing, this is where to raise `InputError`."""

    def write(model, folder):
        """Writes into an empty folder, which it returns because it writes two files."""
        import numpy as np

        weights = [weight.astype(params.precision) for weight in model.get_weights()]
        (folder / NETWORK).write_text(model.to_json(), "utf-8")
        np.savez(folder / WEIGHTS, *weights)
        return folder

    tolerance = 1e-4 if params.precision == "float32" else 0.02
    return Exporter(write, predict, tolerance=tolerance)


def predict(path, images):
    """Runs what was written, which is all that it may use: from [N, S, S, 3] to [N, K].

    A format with a runtime of its own uses that, and names it: `Exporter(runtime="onnxruntime")`.
    """
    import keras
    import numpy as np

    model = keras.models.model_from_json((path / NETWORK).read_text("utf-8"))
    with np.load(path / WEIGHTS) as weights:
        model.set_weights(list(weights.values()))
    return keras.ops.convert_to_numpy(model(images))


@hookimpl
def kerascnn_exporters():
    return [Component("my_component", build, JsonParams, "the network as JSON, weights as .npz")]
