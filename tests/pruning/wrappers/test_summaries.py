import pytest
import small_nets as nets
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.util import tensor_util

import rrelu_tf
from rrelu_tf.errors import UserError


def test_tensorboard_is_told_how_far_each_layer_is_pruned(tmp_path):
    model = rrelu_tf.prune_channels(nets.dense_net(), nets.constant(0.25))
    nets.compiled(model)
    nets.fit(model, 1, rrelu_tf.PruningSummaries(str(tmp_path)))
    log = event_accumulator.EventAccumulator(str(tmp_path / "metrics"))
    log.Reload()
    found = {
        tag: [
            (event.step, float(tensor_util.make_ndarray(event.tensor_proto)))
            for event in log.Tensors(tag)
        ]
        for tag in log.Tags()["tensors"]
    }
    assert set(found) == {
        f"{layer}/{what}"
        for layer in ("wide", "narrow")
        for what in ("sparsity", "threshold", "alive_channels")
    }
    assert found["wide/alive_channels"] == [(0, 10.0), (nets.BATCHES, 8.0)]
    assert found["narrow/sparsity"] == [(0, 0.0), (nets.BATCHES, 0.25)]
    threshold = float(model.get_layer("wide").threshold)
    assert found["wide/threshold"][-1][1] == threshold > 0
    assert (tmp_path / "train").is_dir()  # Keras's own


@pytest.mark.parametrize("log_dir", ["", None, 3])
def test_a_log_dir_that_is_none_is_one_line(log_dir):
    with pytest.raises(UserError, match=f"Received: log_dir={log_dir!r}"):
        rrelu_tf.PruningSummaries(log_dir)
