"""explain: what strip would do, and the reason for what it would not."""

import keras
import numpy as np
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf.analysis import explain
from rrelu_tf.errors import UserError
from rrelu_tf.layers import ChannelGather, RReLU


def rows(text):
    """First cell -> the others, of the first row that has it."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    found = {}
    for first, *rest in cells:
        found.setdefault(first, tuple(rest))
    return found


def put_back(text):
    """Reader -> class, channels that it gets back, and why."""
    _, _, table = text.partition("| channels put back for")
    return rows(table.partition("\n")[2])


def finish(inputs, outputs, **weights):
    """A model of random weights, but for those given, by layer."""
    model = keras.Model(inputs, outputs)
    generator = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(generator.uniform(0.4, 1, variable.shape))
    for name, values in weights.items():
        model.get_layer(name).slope.assign(values)
    return model


class Mine(layers.Layer):
    def call(self, x):
        return 2 * x


def test_each_layer_is_told_with_its_channels_and_why():
    i = keras.Input((6, 6, 3))
    x = layers.Conv2D(8, 3, name="conv")(i)
    x = layers.BatchNormalization(name="norm")(x)
    x = RReLU(name="act")(x)
    x = layers.DepthwiseConv2D(3, name="deep")(x)
    x = layers.Conv2D(5, 1, name="point")(x)
    x = layers.Dense(4, name="head")(layers.Flatten()(x))
    model = finish(i, x, act=[1, 0, 1, 1, 0, 1, 1, 0])
    found = rows(explain(model))
    assert found["conv"] == ("Conv2D", "8", "5", "3 read by nothing")
    assert found["deep"] == (
        "DepthwiseConv2D",
        "8",
        "5",
        "3 constant, filled in for their readers",
    )
    assert found["point"][1:] == ("5", "5", "nothing in it is dead")
    assert found["head"][1:] == ("4", "4", "it is an output of the model")
    assert found["conv, act, deep"] == ("8", "8", "5")
    assert found["act"] == ("RReLU", "8", "5", "3 always 0")
    assert "norm" not in found  # neither a kernel nor what slopes score
    order = [key for key in found if key in ("conv", "deep", "point", "head")]
    assert order == ["conv", "deep", "point", "head"]


def test_what_is_told_is_what_strip_does():
    i = keras.Input((5,))
    x = RReLU(name="a_act")(layers.Dense(6, name="a")(i))
    y = RReLU(name="b_act")(layers.Dense(6, name="b")(x))
    x = layers.Add()([x, y])
    x = layers.Dense(2, name="head")(RReLU(name="c_act")(x))
    model = finish(
        i,
        x,
        a_act=[1, 1, 0, 1, 0, 1],
        b_act=[1, 0, 0, 1, 1, 0],
        c_act=[1, 1, 1, 0, 0, 1],
    )
    text, small = explain(model), rrelu_tf.strip(model)
    found = rows(text)
    for name in ("a", "b", "head"):
        units = small.get_layer(name).units
        assert found[name][2] == str(units)
    assert found["a, a_act, b, b_act, c_act"][0] == "6"
    before, after = model.count_params(), small.count_params()
    assert f"strip would keep {after:,} of {before:,} parameters" in text
    gathers = [x.name for x in small.layers if isinstance(x, ChannelGather)]
    assert f"insert {len(gathers)} gathers: {', '.join(gathers)}.\n" in text


def test_constant_channels_are_told_as_filled_in():
    i = keras.Input((5,))
    x = layers.Dense(4, activation="sigmoid", name="gate")(i)
    model = finish(i, layers.Dense(2, name="head")(x))
    kernel = model.get_layer("gate").kernel
    kernel.assign(kernel.numpy() * [1, 0, 1, 0])
    assert rows(explain(model))["gate"][1:] == (
        "4",
        "2",
        "2 constant, filled in for their readers",
    )


def test_a_barrier_is_named_with_its_reason_through_what_lies_between():
    i = keras.Input((4, 6))
    x = layers.Activation("tanh")(layers.Dense(5, name="a")(i))
    x = layers.LayerNormalization(name="ln")(x)
    x = RReLU(name="act")(x)
    x = layers.Dense(6, name="b")(x)
    x = layers.Softmax(name="soft")(x)
    model = finish(i, layers.Dense(2, name="head")(x), act=[1, 0, 1, 1, 1])
    found = rows(explain(model))
    reason = "its statistics are taken over the channels"
    assert found["a"][1:] == ("5", "5", f"ln (LayerNormalization): {reason}")
    assert found["b"][1:3] == ("6", "6")
    assert found["b"][3].startswith("nothing in it is dead; behind it is soft ")


def test_a_barrier_is_no_reason_where_nothing_behind_it_is_dead():
    i = keras.Input((4, 6))
    x = a = layers.Dense(5, name="a")(i)
    x = RReLU(name="act")(layers.LayerNormalization(name="ln")(x))
    x = layers.Dense(6, name="b")(x)
    y = layers.Dense(6, name="c")(a)
    outputs = layers.Dense(2, name="head")(layers.Add()([x, y]))
    for slopes in ([1] * 5, [1, 0, 1, 1, 1]):  # c reads all of a itself
        found = rows(explain(finish(i, outputs, act=slopes)))
        assert found["a"][3].startswith("nothing in it is dead")


SOME = np.array([1, 1, 1, 0, 0, 1, 0, 0], bool)
PART_OF_OUTPUT = "its channels are those of an output of the model"


@pytest.mark.parametrize(
    ("reader", "count", "why"),
    [
        (layers.LayerNormalization, 4, "its statistics are taken over the"),
        (layers.Softmax, 4, "softmax shares its sum over channels"),
        (lambda name: layers.Activation("softmax", name=name), 4, "softmax"),
        (
            lambda name: layers.GroupNormalization(2, name=name),
            4,
            "its statistics are taken over each group of channels",
        ),
        (
            lambda name: layers.Reshape((3, 2, 4), name=name),
            2,
            "it moves them together with others",
        ),
        (
            lambda name: layers.Conv1D(8, 1, groups=2, name=name),
            2,
            "its groups are all as wide as the widest",
        ),
        (
            lambda name: layers.LSTM(4, name=name),
            4,
            "no rule knows this layer",
        ),
    ],
)
def test_readers_for_which_channels_are_put_back_are_told(reader, count, why):
    i = keras.Input((3, 5))
    x = layers.ReLU()(layers.Dense(8, name="a")(i))
    x = layers.Dense(2, name="head")(reader(name="reader")(x))
    model = finish(i, x)
    assert not put_back(explain(model))
    assert rows(explain(model))["a"][3].startswith("nothing in it is dead")
    masked = rrelu_tf.mask(model, {"a": SOME})
    text = explain(masked)
    assert rows(text)["a"][1:] == ("8", "4", "4 always 0")
    told = put_back(text)
    assert list(told) == ["reader"]
    assert told["reader"][1] == str(count)
    assert told["reader"][2].startswith(why)
    small = rrelu_tf.strip(masked)
    (gather,) = (x for x in small.layers if isinstance(x, ChannelGather))
    assert gather.indices.count(-1) == count


def test_attention_that_gets_channels_back_is_told_once():
    i = keras.Input((3, 5))
    x = layers.Dense(8, name="a")(i)
    x = layers.GroupQueryAttention(2, 4, 2, name="reader")(x, x)
    model = finish(i, layers.Dense(2)(x))
    text = explain(rrelu_tf.mask(model, {"a": SOME}))
    assert (
        text.count("its queries, values and outputs must be equally wide") == 1
    )
    assert put_back(text)["reader"][1] == "4"


def test_outputs_constants_and_sums_that_get_channels_back_are_told():
    i = keras.Input((5,))
    x = layers.Dense(8, name="a")(i)
    y = layers.ReLU(name="out")(x)
    z = layers.Activation("sigmoid")(x)
    z = layers.Dense(8, name="b")(z)
    w = layers.Dense(8, name="c")(z)
    sums = layers.Add(name="add")([z, w])
    model = finish(i, [y, layers.Dense(2, name="head")(sums)])
    told = put_back(explain(rrelu_tf.mask(model, {"a": SOME, "b": SOME})))
    assert told["out"] == ("ReLU", "4", PART_OF_OUTPUT)
    assert told["b"] == ("Dense", "4", "they are constants, not all 0")
    assert told["add"] == ("Add", "4", "another of its inputs has them")
    told = put_back(explain(rrelu_tf.mask(keras.Model(i, sums), {"c": SOME})))
    assert told["add"][1:] == ("4", "another of its inputs has them")


def test_opaque_layers_are_listed_and_named_where_they_hold_back():
    i = keras.Input((6,))
    x = Mine(name="mine")(layers.Dense(5, name="a")(i))
    model = finish(i, layers.Dense(2, name="head")(RReLU(name="r")(x)))
    found = rows(explain(model))
    assert found["mine"][:3] == ("Mine", "5", "5")
    assert "no rule knows `Mine`" in found["mine"][3]
    assert "rrelu_tf.strip.register" in found["mine"][3]
    assert found["a"][3].startswith("nothing in it is dead")
    model.get_layer("r").slope.assign([1, 0, 1, 1, 1])
    found = rows(explain(model))
    assert found["a"][3] == "mine (Mine): no rule knows this layer"


def test_layers_that_go_whole_are_told():
    i = keras.Input((6,))
    x = layers.Dense(5, name="a")(i)
    y = RReLU(name="act")(layers.Dense(5, name="branch")(x))
    x = layers.Dense(2, name="head")(layers.Add()([x, y]))
    found = rows(explain(finish(i, x, act=[0] * 5)))
    assert found["branch"][1:3] == ("5", "0")
    assert found["branch"][3].startswith("gone whole")


def nested():
    inner = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6, name="up"),
            RReLU(name="act"),
            layers.Dense(4, name="down"),
        ],
        name="inner",
    )
    i = keras.Input((4,))
    x = layers.LayerNormalization(name="ln")(inner(i))
    x = RReLU(name="last")(x)
    model = finish(i, layers.Dense(3, name="head")(x), last=[1, 1, 0, 1])
    inner.get_layer("act").slope.assign([1, 0, 1, 1, 0, 1])
    return model


def test_nested_models_are_walked_through():
    found = rows(explain(nested()))
    assert found["inner/up"] == ("Dense", "6", "4", "2 read by nothing")
    assert found["inner/down"][3].startswith("ln (LayerNormalization)")
    assert "inner" not in found


def test_a_sequential_model_is_explained():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="out")])
    text = explain(model)
    assert rows(text)["out"][3] == "it is an output of the model"
    assert "No two layers have channels that must go together." in text
    assert "strip would remove nothing: 15 parameters stay." in text


def test_channels_on_the_first_axis_are_counted():
    i = keras.Input((3, 5, 7))
    options = {"data_format": "channels_first"}
    x = layers.Conv2D(6, 3, name="a", **options)(i)
    x = layers.ReLU()(x)
    x = layers.Conv2D(2, 1, name="b", **options)(x)
    model = rrelu_tf.mask(finish(i, x), {"a": np.arange(6) % 3 > 0})
    assert rows(explain(model))["a"][1:] == ("6", "4", "2 always 0")


def test_the_text_is_the_same_every_time():
    assert explain(nested()) == explain(nested())


def test_a_model_without_a_graph_is_one_line():
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(UserError, match="Received: model=Subclassed$"):
        explain(Subclassed())


def test_only_layers_of_ones_own_are_advised_to_be_registered():
    i = keras.Input((4, 6))
    x = layers.LSTM(5, name="lstm")(Mine(name="mine")(i))
    x = layers.Lambda(lambda x: 2 * x, name="function")(x)
    found = rows(explain(finish(i, layers.Dense(2)(x))))
    assert "rrelu_tf.strip.register" in found["mine"][3]
    for name in ("lstm", "function"):
        assert found[name][3].startswith("opaque: no rule knows")
        assert "register" not in found[name][3]


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax", "glu"])
def test_activations_that_mix_channels_are_no_unknown_layers(name):
    i = keras.Input((6,))
    x = layers.Activation(name, name="mix")(layers.Dense(6, name="a")(i))
    model = finish(i, layers.Dense(2, name="head")(x))
    assert "mix" not in rows(explain(model))


def tied_to_much():
    """a meets an attention, c an input; gn makes a constant of zeros of d."""
    i = keras.Input((3, 8), name="tokens")
    x = layers.Dense(8, name="a")(i)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4, name="mha")(x, x)])
    x = layers.Add()([layers.Dense(8, name="b")(x), x])
    y = layers.Add()([layers.Dense(8, name="c")(i), i])
    z = layers.Dense(8, name="d")(i)
    z = layers.GroupNormalization(2, name="gn")(z)
    x = layers.Dense(6, name="free")(layers.Concatenate()([x, y, z]))
    e, f = layers.Dense(6, name="e")(i), layers.Dense(6, name="f")(i)
    w = layers.ReLU()(layers.Dense(6, name="last")(i))
    x = layers.Add()([x, layers.Add()([e, f])])
    return finish(i, [layers.Dense(2, name="head")(x), w])


def test_coupled_what_holds_dead_channels_is_named():
    model, keep = tied_to_much(), {"d": np.arange(8) < 4}
    keep.update(dict.fromkeys("abc", SOME))
    keep.update(dict.fromkeys(("e", "last"), SOME[:6]))
    masked = rrelu_tf.mask(model, keep)
    text = explain(masked, align="couple")
    found = rows(text)
    attention = "mha (MultiHeadAttention)"
    held = {
        "a": f"4 dead ones are tied to {attention}",
        "b": f"4 dead ones are tied to {attention}",
        "c": "4 dead ones are tied to the input tokens",
        "d": "4 dead ones are tied to numbers other than 0",
        "e": "2 dead ones are tied to f (Dense), free (Dense)",
        "f": "nothing in it is dead",
        "last": "2 dead ones are tied to an output of the model",
    }
    layer = rows(text.partition("| layer")[2].partition("\n")[2])
    for key, why in held.items():
        assert layer[key][2:] == (layer[key][1], why)
    assert found["a, mha, b"] == ("8", "8", "8", attention)
    assert found["e, f, free"] == ("6", "6", "6", "")
    small = rrelu_tf.strip(masked, align="couple")
    after, before = small.count_params(), masked.count_params()
    assert before == after
    assert f"strip would remove nothing: {before:,} parameters" in text
    assert rows(explain(masked))["a"][2:] == ("4", "4 always 0")


def test_coupled_the_table_tells_what_no_mask_can_silence():
    text = explain(tied_to_much(), align="couple")
    table = rows(text.partition("| layer")[0])
    assert table["c"] == ("8", "8", "8", "the input tokens")
    assert table["last"] == ("6", "6", "6", "an output of the model")
    assert "mha" not in table  # but with a and b
    assert "tied to" not in explain(tied_to_much())


def test_groups_are_counted_in_channels_too():
    i = keras.Input((3, 5))
    x = layers.GroupNormalization(2)(layers.Dense(8, name="a")(i))
    x = layers.Add()([x, layers.Dense(8, name="b")(i)])
    model = finish(i, layers.Dense(2, name="head")(x))
    assert rows(explain(model))["a, b"] == ("8", "2", "8")


def test_another_align_is_refused():
    with pytest.raises(UserError, match="Received: align=pad$"):
        explain(tied_to_much(), align="pad")


def test_norms_are_listed_where_there_are_no_slopes():
    i = keras.Input((5, 5, 3))
    x = layers.Conv2D(8, 3, use_bias=False, name="conv")(i)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    x = layers.BatchNormalization(scale=False, name="free")(x)
    model = finish(i, layers.Conv2D(2, 1, name="head")(x))
    text = explain(rrelu_tf.mask(model, {"norm": SOME}))
    found = rows(text)
    assert found["norm"] == ("BatchNormalization", "8", "4", "4 always 0")
    assert "free" not in found
    assert "No two layers have channels that must go together." in text
