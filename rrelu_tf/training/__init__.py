"""Training: recipe, optimizers, schedules, callbacks, run folder, fit."""
