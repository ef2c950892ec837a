"""What each replica is fed."""

import math

import tensorflow as tf


def feed(devices, data, batches):
    """The batches of some data, for `fit` and `evaluate` under a strategy.

    In one process Keras splits each batch among the replicas. Of several
    processes each makes only what its own replicas take: left to itself
    TensorFlow would have each of them make all, or read by files without
    regard to the order of an epoch.

    Args:
        devices: the `tf.distribute.Strategy`.
        data: a `Data`.
        batches: function of a `Data` that returns a `tf.data.Dataset` of it.

    Returns:
        A `tf.data.Dataset`, or a `tf.distribute.DistributedDataset`.
    """
    if not isinstance(devices, tf.distribute.MultiWorkerMirroredStrategy):
        return batches(data)

    def of_process(process):
        count = devices.num_replicas_in_sync
        here = count // process.num_input_pipelines
        first = process.input_pipeline_id * here
        replicas = range(first, first + here)
        # Without an end, TensorFlow need not ask all processes at each step
        # whether one has batches left; Keras would start at the end of what
        # an evaluation before has read.
        return by_turns(data, batches, replicas, count).repeat()

    return devices.distribute_datasets_from_function(of_process)


def by_turns(data, batches, replicas, count):
    """What a process gives its replicas, one after the other, step by step.

    Args:
        data: a `Data`.
        batches: function of a `Data` that returns a `tf.data.Dataset` of it.
        replicas: range of this process's, of all `count`.
        count: int.

    Returns:
        A `tf.data.Dataset`.
    """
    parts = [batches(data.shared(replica, count)) for replica in replicas]
    turns = tf.data.Dataset.range(len(parts)).repeat()
    return tf.data.Dataset.choose_from_datasets(parts, turns)


def steps(batches, size, batch_size):
    """How many batches `fit` and `evaluate` are to be told there are.

    None where they count them themselves: `feed` of several processes has no
    end.
    """
    if isinstance(batches, tf.data.Dataset):
        return None
    return math.ceil(size / batch_size)
