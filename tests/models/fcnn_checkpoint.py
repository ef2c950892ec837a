"""PyTorch checkpoints of a small `fcnn`."""

from rrelu_tf.models import torch_checkpoint


def good(torch):
    return {
        "fc1.weight": torch.randn(500, 4),
        "fc1.bias": torch.randn(500),
        "rrelu1.a": torch.nn.Parameter(torch.randn(500)),
        "fc2.weight": torch.randn(2, 500),
        "fc2.bias": torch.randn(2),
    }


def save(torch, folder, content, **options):
    path = folder / "checkpoint.pth"
    torch.save(content, path, **options)
    return path


def load(model, path):
    return torch_checkpoint.load(model, torch_checkpoint.read(path), path)
