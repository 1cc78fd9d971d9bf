"""The command on shards: training a student."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.arguments import AsJson
from flows.commands.printing import err, print_json, print_lines
from tasks.distillation.recipe import Recipe

RECIPE = Recipe()
"""The defaults."""


def distill(
    shards: Annotated[Path, typer.Argument(metavar="SHARDS", help="A folder that `format: tokenized` wrote, or one file of it.")],
    student: Annotated[str, typer.Option(metavar="MODEL", help="A model's folder, or an id of the Hub.")],
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the trained student goes.")],
    epochs: Annotated[int, typer.Option(metavar="N", help="How often everything is read at most.")] = RECIPE.epochs,
    steps: Annotated[
        int, typer.Option(metavar="N", help="Steps in all, whatever the epochs; 0: as many as those have.")
    ] = RECIPE.steps,
    lr: Annotated[float, typer.Option(metavar="N", help="The highest learning rate.")] = RECIPE.lr,
    warmup: Annotated[float, typer.Option(metavar="N", help="The part of all steps in which it rises to that.")] = RECIPE.warmup,
    alpha: Annotated[float, typer.Option(metavar="N", help="The weight of hard labels beside soft ones, 0 to 1.")] = RECIPE.alpha,
    temperature: Annotated[float, typer.Option(metavar="N", help="By which soft labels are softened.")] = RECIPE.temperature,
    tokens_per_batch: Annotated[int, typer.Option(metavar="N", help="Of a forward pass at most.")] = RECIPE.tokens_per_batch,
    accumulate: Annotated[int, typer.Option(metavar="N", help="Batches of a step.")] = RECIPE.accumulate,
    weight_decay: Annotated[float, typer.Option(metavar="N", help="AdamW's.")] = RECIPE.weight_decay,
    clip: Annotated[float, typer.Option(metavar="N", help="The largest norm of a gradient; 0: none.")] = RECIPE.clip,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the order.")] = RECIPE.seed,
    evaluate_every: Annotated[
        int, typer.Option(metavar="STEPS", help="Between looks at the held-out loss; 0: a fourth of an epoch.")
    ] = RECIPE.evaluate_every,
    patience: Annotated[
        int, typer.Option(metavar="N", help="Looks without a better loss that end it; 0: none do.")
    ] = RECIPE.patience,
    checkpoint_every: Annotated[int, typer.Option(metavar="STEPS", help="Between checkpoints.")] = RECIPE.checkpoint_every,
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="Spare memory, for a third more time.")
    ] = RECIPE.gradient_checkpointing,
    device: Annotated[str, typer.Option(metavar="NAME", help="auto, cpu or cuda.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Train a student on shards of tokens, with the teacher's distributions where they have them. Run again, it goes on."""
    from flows.distilling import lines
    from flows.process.launch_training import launch

    recipe = Recipe(
        epochs=epochs,
        steps=steps,
        lr=lr,
        warmup=warmup,
        alpha=alpha,
        temperature=temperature,
        tokens_per_batch=tokens_per_batch,
        accumulate=accumulate,
        weight_decay=weight_decay,
        clip=clip,
        seed=seed,
        evaluate_every=evaluate_every,
        patience=patience,
        checkpoint_every=checkpoint_every,
        gradient_checkpointing=gradient_checkpointing,
    )
    found = launch(shards, student, to, recipe, device, err)
    if as_json:
        print_json(found)
    else:
        print_lines(lines(found))
