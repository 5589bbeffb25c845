"""What numbers the base models' products are computed with."""

from enum import StrEnum


class Precision(StrEnum):
    """FP32 gives what training measured, to the fifth digit. BF16 rounds what is multiplied to 8 bits, and adds up in fp32.

    Adapters, attention, norms and heads are computed in fp32 with both, and so is a fully fine-tuned model.
    """

    FP32 = "fp32"
    BF16 = "bf16"
