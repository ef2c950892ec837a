"""A callback after which training goes on, whenever it was killed."""

import keras

from rrelu_tf import atomic
from rrelu_tf.errors import UserError
from rrelu_tf.strip import keras_2
from rrelu_tf.training import checkpoints


class Backup(keras.callbacks.Callback):
    """Keeps the state after each epoch in a file that is whole or not there.

    What `keras.callbacks.BackupAndRestore` is for. That one writes weights and
    the epoch's number one after the other: killed in between, an epoch is
    trained twice, and a pruning schedule is an epoch ahead. Here both are in
    one file, masks and steps of `prune_channels` and the optimizer's state
    with them. Nothing is deleted at the end, so that training that is done
    stays done:

        backup = rrelu_tf.Backup("backup")
        model.fit(..., initial_epoch=backup.restore(model),
                  callbacks=[backup, rrelu_tf.UpdatePruningStep()])

    The state is the model's: a data set that shuffles has to be told the epoch.

    Args:
        folder: path of a folder for this alone; made if it is missing.

    Raises:
        UserError: a folder that cannot be made or written; a model of tf_keras.
    """

    def __init__(self, folder):
        super().__init__()
        atomic.make_folder(folder, "folder")
        self.folder = folder

    def restore(self, model):
        """Gives a model the last state, if there is one.

        Args:
            model: a compiled, built `keras.Model`.

        Returns:
            int: epochs that it has trained; 0 of a folder without a state.

        Raises:
            UserError: a model that is not compiled or not built, of another
                architecture or of tf_keras; a folder in which all files are
                broken.
        """
        keras_2.refuse(model)
        if not (model.compiled and model.built):
            raise UserError(
                "Backup takes a model that is compiled and built. "
                f"Received: model={model.name}"
            )
        atomic.discard_leftovers(self.folder, "*")
        checkpoint = checkpoints.latest(self.folder)
        if checkpoint is None:
            return 0
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        checkpoints.restore(checkpoint, model, model.optimizer)
        return checkpoint.epoch

    def set_model(self, model):
        """Takes the model, if it is of Keras 3."""
        keras_2.refuse(model, "train that one")
        super().set_model(model)

    def on_epoch_end(self, epoch, logs=None):
        """Writes the state."""
        done = [{"epoch": number + 1} for number in range(epoch + 1)]
        checkpoints.write(self.folder, checkpoints.capture(self.model, done))
