"""Progress of the whole run: a bar on a terminal, else a line per epoch."""

import time

import keras
import rich.console
import rich.progress


class Progress(keras.callbacks.Callback):
    """Shows epoch, measurements and the time left for the whole run.

    Use it as a context manager around `fit`, and as a callback. On a terminal
    a bar moves with each batch; elsewhere one plain line ends each epoch.

    Args:
        epochs: int, epochs of the whole run.
        first_epoch: int, epochs already done.
        steps_per_epoch: int.
    """

    def __init__(self, epochs, first_epoch, steps_per_epoch):
        super().__init__()
        self.epochs = epochs
        self.first_epoch = first_epoch
        self.steps_per_epoch = steps_per_epoch
        self.console = rich.console.Console(soft_wrap=True, highlight=False)
        self.bar = _bar(self.console) if self.console.is_terminal else None
        if self.bar:
            self.task = self.bar.add_task(
                f"epoch {first_epoch + 1}/{epochs}",
                total=(epochs - first_epoch) * steps_per_epoch,
            )

    def __enter__(self):
        self._began = time.monotonic()
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_):
        if self.bar:
            self.bar.stop()

    def on_epoch_begin(self, epoch, logs=None):
        """Names the epoch beside the bar."""
        self.epoch = epoch - self.first_epoch
        if self.bar:
            self.bar.update(
                self.task, description=f"epoch {epoch + 1}/{self.epochs}"
            )

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar to the step, the last of several in one execution."""
        if self.bar:
            done = self.epoch * self.steps_per_epoch + batch + 1
            self.bar.update(self.task, completed=done)

    def on_epoch_end(self, epoch, logs=None):
        """Prints the epoch's line."""
        done = epoch + 1 - self.first_epoch
        left = (time.monotonic() - self._began) / done
        left *= self.epochs - epoch - 1
        line = f"epoch {epoch + 1}/{self.epochs}  {_summary(logs)}"
        print_line = self.bar.console.print if self.bar else _print_now
        print_line(f"{line}  left {_clock(left)}")


def _bar(console):
    return rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TextColumn("steps, left"),
        rich.progress.TimeRemainingColumn(),
        console=console,
    )


def _print_now(line):
    print(line, flush=True)


def _summary(logs):
    parts = [f"loss {logs['loss']:.4f}", f"accuracy {logs['accuracy']:.4f}"]
    if "val_accuracy" in logs:
        parts.append(f"val_loss {logs['val_loss']:.4f}")
        parts.append(f"val_accuracy {logs['val_accuracy']:.4f}")
    parts.append(f"learning_rate {logs['learning_rate']:.3g}")
    parts.append(f"slopes_alive {logs['slopes_alive']}")
    parts.append(f"{logs['seconds']:.1f} s")
    return "  ".join(parts)


def _clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
