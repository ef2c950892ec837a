"""Training by a recipe without a run's folder."""

from rrelu_tf.training import building


def fit(model, data, recipe, first=0):
    """Trains a model in place, from epoch `first` of the data on."""
    schedule = building.create_schedule(recipe, data.steps_per_epoch)
    building.compile_model(recipe, model, schedule)
    model.fit(
        data.train(first, first + recipe.epochs),
        epochs=recipe.epochs,
        steps_per_epoch=data.steps_per_epoch,
        verbose=2,
    )
    return model
