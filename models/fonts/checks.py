"""What zi2zi refuses: terms that do not go together, and data it cannot learn from."""

from typing import Any

from options import UserError


def check_terms(opt: Any) -> None:
    """Refuse terms that do not go together with the rest."""
    compared = {"lambda_const": opt.lambda_const, "lambda_align": opt.lambda_align}
    compared |= {f"contrastive_{b}": getattr(opt, f"contrastive_{b}") for b in ("content", "style")}
    asked = next((f"--{flag} {value}" for flag, value in compared.items() if value not in (0, "none")), None)
    if opt.input_nc != opt.output_nc and asked:
        raise UserError(
            f"{asked} compares both fonts' glyphs by one network; --input_nc {opt.input_nc} and --output_nc "
            f"{opt.output_nc} must be equal"
        )
    if opt.fixed_styles and opt.tune in ("norms", "embedding"):
        raise UserError(f"--tune {opt.tune} trains the table of styles, which --fixed_styles keeps; use --tune all")


def check_data(opt: Any, dataset: Any) -> None:
    """Refuse data without styles, styles beyond the table or unknown to the run, and batches too small to compare."""
    if not hasattr(dataset, "style_list"):
        raise UserError(f"--model zi2zi needs characters and styles; use --dataset_mode font, not {opt.dataset_mode}")
    if opt.direction == "BtoA":
        raise UserError("--direction BtoA: zi2zi draws from the source font; swap --source_font and --target_font")
    most = max(style.label for style in dataset.style_list)
    if most >= opt.embedding_num:
        raise UserError(f"--embedding_num {opt.embedding_num}: the styles go up to number {most}; give {most + 1}")
    if opt.is_train:
        check_batches(opt, dataset)
        return
    known = dataset.known_labels
    strange = [style.name for style in dataset.style_list if known and style.label not in known]
    if strange:
        raise UserError(
            f"--name {opt.name} was not trained in style {strange[0]}; train another run in it, with "
            f"--pretrained_name {opt.name}"
        )


def check_batches(opt: Any, dataset: Any) -> None:
    if not dataset.paired:
        raise UserError("--model zi2zi needs each character in both fonts; leave out --paired false")
    characters = opt.batch_size // dataset.styles_in_batch
    for branch in ("content", "style"):
        if getattr(opt, f"contrastive_{branch}") != "none" and (characters < 2 or not opt.styles_per_batch):
            raise UserError(
                f"--contrastive_{branch} needs two characters or more in a batch, in every style of it; "
                f"--batch_size {opt.batch_size} --styles_per_batch {opt.styles_per_batch} has {characters}; "
                "give a larger --batch_size"
            )
