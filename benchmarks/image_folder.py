"""Image files, trained on, pruned and evaluated by the commands alone.

    python benchmarks/image_folder.py --data_dir=DIR --out=OUT

writes images of Fashion-MNIST as PNG files, a folder a class, under
`OUT/fashion/train` and `OUT/fashion/test`, and runs on them, as anyone would
with a folder of their own,

    bin/train --dataset=OUT/fashion --orthoreg=0.01 ...
    bin/prune --run=OUT/run --score=orthoreg --sparsity=0.5 ...
    bin/evaluate --run=OUT/run --train_accuracy --orthogonality --compression

A shell's exit code; the commands' output is what there is to see.
"""

import argparse
import pathlib
import subprocess
import sys

import tensorflow as tf

from rrelu_tf import data

ROOT = pathlib.Path(__file__).resolve().parent.parent


def write(out, data_dir, per_class):
    """Writes so many training images a class, and a fifth of that for test."""
    loaded = data.load(
        "fashion_mnist",
        data_dir=data_dir,
        validation_split=0,
        normalization="unit",
        augmentation="none",
    )
    parts = {
        "train": (loaded.unaugmented(loaded.train_size), per_class),
        "test": (loaded.test, per_class // 5),
    }
    for part, (batches, most) in parts.items():
        counts = dict.fromkeys(range(loaded.num_classes), 0)
        for images, labels in batches:
            pixels = tf.cast(tf.round(images * 255), tf.uint8)
            for image, label in zip(pixels, labels.numpy(), strict=True):
                if counts[label] < most:
                    name = loaded.class_names[label].replace("/", "-")
                    file = out / part / name / f"{counts[label]:05}.png"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    tf.io.write_file(str(file), tf.io.encode_png(image))
                    counts[label] += 1
    return len(counts) * (per_class + per_class // 5)


def run(command, *flags):
    """Runs one of bin/; raises if it fails."""
    print(f"\n$ bin/{command} {' '.join(flags)}", flush=True)
    subprocess.run([sys.executable, ROOT / "bin" / command, *flags], check=True)


def main():
    """Writes the images and runs the commands."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--per_class", type=int, default=300)
    options = parser.parse_args()
    folder = options.out / "fashion"
    count = write(folder, options.data_dir, options.per_class)
    print(f"{count:,} PNG files in {folder}")
    given = f"--run={options.out / 'run'}"
    net = ("--arch=resnet8_b", "--arch_options=width=0.5", "--activation=relu")
    how = ("--epochs=2", "--batch_size=32", "--weight_decay=0")
    run(
        *("train", f"--dataset={folder}", *net, *how),
        *("--orthoreg=0.01", "--learning_rate=0.02", given),
    )
    sparse = ("--score=orthoreg", "--sparsity=0.5", "--retrain_epochs=1")
    run("prune", given, *sparse)
    shown = ("--train_accuracy", "--orthogonality", "--compression")
    run("evaluate", given, *shown)


if __name__ == "__main__":
    main()
