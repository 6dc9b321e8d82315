"""`nysformer demo`: the whole of it on real documents, in minutes."""

import shlex

from nysformer.cli.options import filled
from nysformer.cli.resuming import saying_how_to_go_on
from nysformer.demo.options import DemoOptions

__all__ = ["demo"]


@filled
def demo(*, options: DemoOptions) -> None:
    """Fine-tune an encoder on licence texts and compare it with TF-IDF.

    Builds a corpus of 3,389 licence texts in eight categories from the package
    licensedcode-data, split so that no two versions of a text are on two sides;
    converts the packaged MiniLM to 4,096 positions; fine-tunes it; measures it
    on held-out documents beside the majority class and TF-IDF with a linear SVM;
    classifies a licence. No network is needed. A few minutes more than --minutes.
    DIR gets the model and its card, metrics.json and report.html. Run again, it begins anew
    in the same place, with the corpus and the encoder that stand there.

    Needs the extra: pip install 'nysformer\\[demo]'

    Example: nysformer demo --minutes 4 --output runs/demo
    """
    from nysformer.demo.requirements import check_installed

    check_installed()

    from rich.console import Console

    from nysformer.demo.run import run_demo

    console = Console()
    command = ["nysformer", "demo", "--minutes", f"{options.minutes:g}"]
    command += ["--output", options.output, "--seed", str(options.seed)]
    with saying_how_to_go_on(shlex.join(command), in_place_of="with the same options"):
        result = run_demo(options, console=console)
    name, answer = result.example
    label = str(answer.label)
    probability = (answer.probabilities or {})[label]
    console.print(f"{name}: {label} (probability {probability:.3f}, {answer.length:,} tokens)", highlight=False)
    files = "model, README.md, metrics.json and report.html"
    console.print(f"{files}: {result.output}", highlight=False, soft_wrap=True)
    console.print(f"now: nysformer predict --model {result.output} LICENSE", highlight=False, soft_wrap=True)
