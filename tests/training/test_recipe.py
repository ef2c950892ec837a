import json
import math

import pytest

from rrelu_tf.errors import UserError
from rrelu_tf.training.recipe import Recipe


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", -1.0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("weight_decay", -1e-4),
        ("weight_decay", math.nan),
        ("slope_l1", -1.0),
        ("label_smoothing", 1.0),
        ("label_smoothing", -0.1),
        ("validation_split", 1.0),
        ("momentum", 1.0),
        ("gamma", 0.0),
        ("warmup_epochs", -1),
        ("virtual_devices", -1),
        ("image_size", 0),
        ("seed", -1),
        ("seed", 2**31),
        ("monitor_zeta", math.nan),
        ("mixed_precision", "float8"),
        ("early_bird", "late"),
        ("early_bird_sparsity", 0.0),
        ("early_bird_sparsity", 1.0),
        ("early_bird_epochs", 0),
    ],
)
def test_a_value_that_breaks_its_rule_is_refused(name, value):
    with pytest.raises(UserError, match=f"Received: {name}={value}$"):
        Recipe(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "others"),
    [
        ("momentum", 0.5, {"optimizer": "adam"}),
        ("gamma", 0.5, {"schedule": "cosine_epoch"}),
        ("slope_l1", 1.0, {"activation": "relu"}),
        ("slope_decay", 0.5, {"activation": "relu"}),
        ("slope_decay", 0.5, {"weight_decay": 0.0}),
        ("early_bird_score", "l1", {}),
        ("early_bird_sparsity", 0.25, {}),
        ("early_bird_epochs", 3, {"early_bird": "distance"}),
        ("two_step_epochs", 3, {"early_bird": "distance"}),
        ("epochs", 4, {"early_bird": "distance"}),
        ("epochs", 11, {"early_bird": "fixed", "early_bird_epochs": 12}),
    ],
)
def test_a_value_without_effect_is_refused(name, value, others):
    with pytest.raises(UserError, match=f"Received: {name}={value}$"):
        Recipe(**{name: value}, **others)
    Recipe(**others)


def test_a_value_with_an_effect_is_taken():
    Recipe(momentum=0.5, slope_l1=1.0)
    Recipe(schedule="multistep", milestones=(3,), gamma=0.5)


def test_a_recipe_survives_json():
    recipe = Recipe(milestones=(3, 5), learning_rate=1 / 3, image_size=32)
    values = json.loads(json.dumps(recipe.to_dict()))
    assert Recipe.from_dict(values | {"data_dir": "elsewhere"}) == recipe
