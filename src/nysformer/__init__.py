"""Encode whole documents at linear cost: the Nyströmformer, its five task heads, and the work done with them.

Public names are loaded on first use, so that `import nysformer` costs nothing and `nysformer --help` needs no torch.
"""

from importlib import import_module
from importlib.metadata import version as _installed_version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nysformer import ops as ops
    from nysformer.checkpoints.convert.encoder import from_bert as from_bert
    from nysformer.data.reading import ReadOptions as ReadOptions
    from nysformer.errors import NysformerError as NysformerError
    from nysformer.inference.embed import Embedder as Embedder
    from nysformer.inference.evaluate import evaluate as evaluate
    from nysformer.inference.predict import Predictor as Predictor
    from nysformer.inference.predict import load as load
    from nysformer.inference.search import Searcher as Searcher
    from nysformer.layers import NystromAttention as NystromAttention
    from nysformer.models import (
        NystromformerConfig as NystromformerConfig,
    )
    from nysformer.models import (
        NystromformerForMaskedLM as NystromformerForMaskedLM,
    )
    from nysformer.models import (
        NystromformerForMultipleChoice as NystromformerForMultipleChoice,
    )
    from nysformer.models import (
        NystromformerForQuestionAnswering as NystromformerForQuestionAnswering,
    )
    from nysformer.models import (
        NystromformerForSequenceClassification as NystromformerForSequenceClassification,
    )
    from nysformer.models import (
        NystromformerForTokenClassification as NystromformerForTokenClassification,
    )
    from nysformer.models import (
        NystromformerLayer as NystromformerLayer,
    )
    from nysformer.models import (
        NystromformerModel as NystromformerModel,
    )
    from nysformer.models import (
        NystromformerPreTrainedModel as NystromformerPreTrainedModel,
    )
    from nysformer.models import (
        register as register,
    )
    from nysformer.models import (
        unregister as unregister,
    )
    from nysformer.runtime.optimize import optimize as optimize
    from nysformer.tasks.sequence_classification import Prediction as Prediction
    from nysformer.training.distill import distill as distill
    from nysformer.training.distill_options import DistillOptions as DistillOptions
    from nysformer.training.finetune import finetune as finetune
    from nysformer.training.options import FinetuneOptions as FinetuneOptions
    from nysformer.training.pretrain import pretrain as pretrain
    from nysformer.training.pretrain_options import PretrainOptions as PretrainOptions

__version__ = _installed_version("nysformer")

_HOME = {
    "DistillOptions": "nysformer.training.distill_options",
    "Embedder": "nysformer.inference.embed",
    "FinetuneOptions": "nysformer.training.options",
    "NysformerError": "nysformer.errors",
    "NystromAttention": "nysformer.layers",
    "NystromformerConfig": "nysformer.models",
    "NystromformerForMaskedLM": "nysformer.models",
    "NystromformerForMultipleChoice": "nysformer.models",
    "NystromformerForQuestionAnswering": "nysformer.models",
    "NystromformerForSequenceClassification": "nysformer.models",
    "NystromformerForTokenClassification": "nysformer.models",
    "NystromformerLayer": "nysformer.models",
    "NystromformerModel": "nysformer.models",
    "NystromformerPreTrainedModel": "nysformer.models",
    "PretrainOptions": "nysformer.training.pretrain_options",
    "Prediction": "nysformer.tasks.sequence_classification",
    "Predictor": "nysformer.inference.predict",
    "ReadOptions": "nysformer.data.reading",
    "Searcher": "nysformer.inference.search",
    "distill": "nysformer.training.distill",
    "evaluate": "nysformer.inference.evaluate",
    "finetune": "nysformer.training.finetune",
    "from_bert": "nysformer.checkpoints.convert.encoder",
    "load": "nysformer.inference.predict",
    "pretrain": "nysformer.training.pretrain",
    "register": "nysformer.models",
    "unregister": "nysformer.models",
    "optimize": "nysformer.runtime.optimize",
}

__all__ = ["__version__", "ops", *_HOME]


def __getattr__(name: str) -> Any:
    if name == "ops":
        return import_module("nysformer.ops")
    if name in _HOME:
        try:
            return getattr(import_module(_HOME[name]), name)
        except ModuleNotFoundError as error:
            if str(error.name).startswith("nysformer"):
                raise
            raise ImportError(f"nysformer.{name} needs {error.name}: pip install 'nysformer[train]'") from error
    raise AttributeError(f"module 'nysformer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
