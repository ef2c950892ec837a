import keras
import numpy as np
import pytest

from rrelu_tf.errors import UserError
from rrelu_tf.training import building
from rrelu_tf.training.recipe import Recipe


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(size=(6, 5)).astype("float32")


LABELS = np.array([0, 1, 2, 3, 4, 0])


def test_without_smoothing_the_loss_is_keras_sparse_crossentropy(logits):
    keras_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    loss = building.SmoothedCrossentropy()
    assert loss(LABELS, logits) == keras_loss(LABELS, logits)


def test_smoothing_spreads_its_share_over_all_classes(logits):
    target = 0.8 * np.eye(5)[LABELS] + 0.2 / 5
    wide = logits.astype("float64")
    log_p = wide - np.log(np.exp(wide).sum(-1, keepdims=True))
    expected = -(target * log_p).sum(-1).mean()
    loss = building.SmoothedCrossentropy(0.2)(LABELS, logits)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_precision_ends_with_its_block():
    with building.precision("bfloat16"):
        inside = keras.layers.Dense(1)
    assert inside.compute_dtype == "bfloat16"
    assert inside.variable_dtype == "float32"
    assert keras.layers.Dense(1).compute_dtype == "float32"


def test_slope_l1_adds_its_penalty_to_the_loss():
    create = building.make_model
    plain, penalised = (
        create(Recipe(arch="fcnn", slope_l1=factor), 10, (8, 8, 1))
        for factor in (0.0, 0.5)
    )
    assert plain.losses == []
    slope = np.asarray(penalised.get_layer("rrelu1").slope)
    expected = 0.5 * np.abs(slope).sum()
    assert float(sum(penalised.losses)) == pytest.approx(expected, rel=1e-5)


def test_arch_options_reach_the_architecture():
    recipe = Recipe(arch="vit_tiny", arch_options=("depth=2", "patch_size=8"))
    model = building.make_model(recipe, 3, (16, 16, 1))
    assert model.get_layer("tokens").output.shape == (None, 4, 192)
    attentions = [x for x in model.layers if x.name.endswith("attention")]
    assert len(attentions) == 2
    assert Recipe.from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    ("option", "received"),
    [
        ("depth", "arch_options=depth"),
        ("num_classes=3", "arch_options=num_classes=3"),
        ("activation='relu'", "arch_options=activation='relu'"),
        ("depth=two", "arch_options=depth=two"),
        ("depth=2.5", "depth=2.5"),
        ("depth=0", "depth=0"),
        ("patch_size=5", "patch_size=5"),
        ("width=3", "arch_options=width=3"),
    ],
)
def test_impossible_arch_options_are_refused(option, received):
    recipe = Recipe(arch="vit_tiny", arch_options=(option,))
    with pytest.raises(UserError, match=f"Received: {received}$"):
        building.check(recipe)
        building.make_model(recipe, 3, (16, 16, 1))


@pytest.mark.parametrize("dataset", ["digits", "folder"])
def test_a_data_dir_that_is_not_there_is_refused(dataset, tmp_path):
    named = "digits" if dataset == "digits" else str(tmp_path)
    absent = tmp_path / "absent"
    with pytest.raises(UserError, match=f"Received: data_dir={absent}$"):
        building.load_data(Recipe(dataset=named), data_dir=absent)


def test_a_data_dir_that_is_there_is_taken(tmp_path):
    assert building.load_data(Recipe(), data_dir=tmp_path).train_size


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(arch="wrn_10_1", activation="gelu", sync_batch_norm=True),
        Recipe(arch="fcnn", optimizer="adam", slope_l1=1.0),
    ],
)
def test_a_recipe_without_mistake_passes_and_makes_no_weight(recipe):
    building.check(recipe)


def test_the_loss_is_saved_with_its_smoothing():
    loss = building.SmoothedCrossentropy(0.2)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(loss)
    )
    logits = np.eye(3, dtype="float32")[[0, 1, 1, 2]]
    assert again.smoothing == 0.2
    assert again([0, 1, 2, 0], logits) == loss([0, 1, 2, 0], logits)
