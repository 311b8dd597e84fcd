"""Early-exit policies of `beem` where inference happens: read, decide exit by exit, on NumPy alone."""

from .certificate import Certificate, Member, Parts
from .errors import InputError
from .heads import Head, Heads, HiddenHead, LinearHead
from .policy import Exit, HeadsReference, Policy, Provenance, Rule, TestResult
from .sessions import (
    BatchSession,
    Decisions,
    ExitDecision,
    ExitSession,
    decide,
    decide_logits,
    decide_numbers,
)

__version__ = "0.1.0"

__all__ = [
    "BatchSession",
    "Certificate",
    "Decisions",
    "Exit",
    "ExitDecision",
    "ExitSession",
    "Head",
    "Heads",
    "HeadsReference",
    "HiddenHead",
    "InputError",
    "LinearHead",
    "Member",
    "Parts",
    "Policy",
    "Provenance",
    "Rule",
    "TestResult",
    "decide",
    "decide_logits",
    "decide_numbers",
]
