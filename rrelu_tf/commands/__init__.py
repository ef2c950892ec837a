"""The commands: absl flags in, one call, an exit code out."""
