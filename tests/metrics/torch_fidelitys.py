"""Our feature extractors as torch-fidelity's, so that its metrics can be asked about the same features."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from titok.metrics.features import FeatureExtractor


def register_with_torch_fidelity(name: str, extractor: FeatureExtractor) -> None:
    """Makes ``torch_fidelity.calculate_metrics(..., feature_extractor=name)`` use this extractor.

    It offers the layers ``features`` (default of FID, KID and precision/recall) and ``logits`` (inception score).
    """
    from torch_fidelity import register_feature_extractor
    from torch_fidelity.feature_extractor_base import FeatureExtractorBase

    class Registered(FeatureExtractorBase):
        """Adapter; torch-fidelity builds it once per call."""

        def __init__(self, name: str, features_list: list[str], **_: Any) -> None:
            super().__init__(name, features_list)

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            result = extractor(images)._asdict()
            return tuple(result[layer] for layer in self.features_list)

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return "features", "logits"

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return "logits" if metric == "isc" else "features"

        @staticmethod
        def can_be_compiled() -> bool:
            return False

    register_feature_extractor(name, Registered)
