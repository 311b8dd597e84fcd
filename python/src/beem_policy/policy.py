"""The policy file: what serving code needs to decide, and what it may claim."""

from __future__ import annotations

import hashlib
import os
import warnings
from dataclasses import dataclass

from . import strict_json
from .certificate import Certificate
from .errors import InputError, unreadable
from .fields import REMADE, Fields
from .heads import Heads, read

FORMAT = "beem-policy"
NEWEST_VERSION = 1
"""The newest version of the format that this package reads; it reads every older one too."""

KINDS = ("beem", "max-probability", "margin", "entropy", "patience", "static")
MEASURES = ("max-probability", "margin", "entropy")
RESTARTS = ("current", "zero")


@dataclass(frozen=True)
class Rule:
    """How scores are made. The weights themselves stand with the exits."""

    kind: str
    """`beem`, `max-probability`, `margin`, `entropy`, `patience` or `static`."""
    confidence: str
    """What confidence measures: `max-probability`, `margin` or `entropy`."""
    weights: str | None = None
    """How the weights were found; None for rules without."""
    memory: float = 1.0
    """How much of the score before is kept on agreement."""
    restart: str = "current"
    """What the score becomes on disagreement: `current` (a new sum) or `zero`."""
    tolerance: float | None = None
    """By how much numbers may differ that count as the same, for exits that predict numbers; None for classes."""

    @property
    def uses_confidence(self) -> bool:
        """Whether scores depend on confidences; labels are enough otherwise."""
        return self.kind not in ("patience", "static")


@dataclass(frozen=True)
class Exit:
    """One exit of the network."""

    index: int
    name: str
    cost: float
    """Cumulative, up to and including this exit."""
    weight: float
    temperature: float
    """What its logits are divided by."""
    threshold: float | None
    """Leave here when the score is at least this; None: no sample leaves here early."""


@dataclass(frozen=True)
class HeadsReference:
    """The heads file beside the policy."""

    file: str
    """Relative to the policy's folder."""
    sha256: str


@dataclass(frozen=True)
class TestResult:
    """How the policy did on the test split, which nothing was chosen on."""

    __test__ = False  # Its name is that of the format; pytest is not to collect it.

    error: float
    final_error: float
    speed_up: float
    gap_interval: tuple[float, ...] | None
    samples: int | None
    harmful_flips: int | None
    helpful_flips: int | None


@dataclass(frozen=True)
class Provenance:
    """Where a policy comes from."""

    recipe: str
    features_sha256: str
    seed: int
    tool: str


@dataclass(frozen=True)
class Policy:
    """A calibrated early-exit policy; read one with `Policy.load`."""

    name: str
    classes: tuple[str, ...]
    """The names of the classes, by label."""
    rule: Rule
    exits: tuple[Exit, ...]
    """In order; the last is the final layer."""
    heads: HeadsReference | None
    """The heads it was calibrated with; None when the exits' outputs came from elsewhere."""
    certificate: Certificate | None
    """What is guaranteed; None: nothing."""
    test: TestResult | None
    provenance: Provenance
    version: int = NEWEST_VERSION
    cost_without_exits: float | None = None
    """What a sample costs without early exit, where that is not the last exit's cost: a sample that comes there has also
    paid for the checks on the way."""
    file: str = "policy.json"
    """Where it was read from; `load_heads` starts at its folder."""

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Policy:
        """Reads and checks a policy file.

        Raises `InputError`, which names the key, for a file that cannot be read, is no policy, is of a newer version,
        or holds values that no policy has. Warns (`UserWarning`) of a policy without a certificate, and of one whose
        certify split has been used more often than its certificate allows.
        """
        path = os.fspath(path)
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError as error:
            raise unreadable(path, error, "a policy file") from None
        policy = Policy.parse(data, path)
        for warning in policy.warnings:
            warnings.warn(warning, UserWarning, stacklevel=2)
        return policy

    @staticmethod
    def parse(data: bytes, file: str = "policy.json") -> Policy:
        """Reads a policy from the bytes of a file; `file` is its name in messages. Does not warn; see `warnings`."""
        try:
            value = strict_json.parse(data)
        except strict_json.JSONProblem as problem:
            raise InputError(
                "malformed",
                file,
                seen=f"not valid ({problem})",
                expected="a policy in JSON with plain, finite numbers",
                advice=REMADE,
            ) from None
        fields = Fields(value, file)
        version = _version(fields)
        heads, certificate = fields.optional_object("heads"), fields.optional_object("certificate")
        test = fields.optional_object("test")
        policy = Policy(
            name=fields.text("name"),
            classes=fields.texts("classes"),
            rule=_rule(fields.object("rule")),
            exits=tuple(_exit(exit_) for exit_ in fields.objects("exits")),
            heads=None if heads is None else HeadsReference(heads.text("file"), heads.text("sha256")),
            certificate=None if certificate is None else Certificate.read(certificate),
            test=None if test is None else _test(test),
            provenance=_provenance(fields.object("provenance")),
            version=version,
            cost_without_exits=fields.optional_number("costWithoutExits"),
            file=file,
        )
        policy._check()
        return policy

    @property
    def costs(self) -> tuple[float, ...]:
        """[exits]: cumulative costs."""
        return tuple(exit_.cost for exit_ in self.exits)

    @property
    def full_cost(self) -> float:
        """What a sample costs without early exit, which speed-up is relative to."""
        return self.exits[-1].cost if self.cost_without_exits is None else self.cost_without_exits

    @property
    def predicts_numbers(self) -> bool:
        """Whether exits predict numbers instead of classes."""
        return self.rule.tolerance is not None

    @property
    def warnings(self) -> list[str]:
        """What must not be overlooked; a sentence each."""
        if self.certificate is None:
            return [f"{self.file} has no certificate"]
        if self.certificate.is_overused:
            return [
                (
                    f"{self.file}: the certify split of this policy has been used by {self.certificate.certify_uses} "
                    f"different runs, and delta was divided over {self.certificate.uses}: "
                    "the guarantee holds for the first only"
                )
            ]
        return []

    def load_heads(self, path: str | os.PathLike[str] | None = None) -> Heads:
        """The heads that the policy was calibrated with; from `path` when they are not where the policy says.

        Raises `InputError` when the SHA-256 of the file is not the policy's, or heads and policy have other exits or
        classes: what the certificate says is said of those heads alone.
        """
        if self.heads is None:
            raise InputError(
                "missing",
                self.file,
                "heads",
                seen="a policy without heads",
                expected="heads",
                advice="It was calibrated from exit outputs: give its sessions the logits, or labels and confidences, "
                "of the network's own exits.",
            )
        place = os.path.join(os.path.dirname(self.file), self.heads.file) if path is None else os.fspath(path)
        data = read(place)
        digest = hashlib.sha256(data).hexdigest()
        if digest != self.heads.sha256:
            raise InputError(
                "mismatch",
                place,
                seen=f"SHA-256 {digest}",
                expected=f"{self.heads.sha256}, the heads that {self.file} was calibrated with",
                advice="The certificate holds for those heads alone: restore them, or calibrate again.",
            )
        heads = Heads.parse(data, place)
        if len(heads) != len(self.exits):
            raise InputError(
                "mismatch",
                place,
                seen=f"heads of {len(heads)} exits",
                expected=f"one for each of the {len(self.exits)} exits of {self.file}",
                advice="Heads and policy belong to different networks.",
            )
        for index, head in enumerate(heads):
            if head.class_count != len(self.classes):
                raise InputError(
                    "mismatch",
                    place,
                    f"exit.{index}.bias",
                    seen=f"{head.class_count} classes",
                    expected=f"{len(self.classes)}, as in {self.file}",
                    advice="Heads and policy belong to different tasks.",
                )
        return heads

    def _check(self) -> None:
        """Checks what reading alone does not."""

        def require(condition: bool, item: str, seen: object, expected: str) -> None:
            if not condition:
                raise InputError("out-of-range", self.file, item, seen=str(seen), expected=expected, advice=REMADE)

        require(bool(self.classes), "classes", "none", "a name for each class")
        require(bool(self.exits), "exits", "none", "one or more exits")
        rule = self.rule
        require(0 <= rule.memory <= 1, "rule.memory", rule.memory, "a number in 0...1")
        if rule.tolerance is not None:
            require(rule.tolerance >= 0, "rule.tolerance", rule.tolerance, "a number that is not negative")
            require(
                not rule.uses_confidence,
                "rule.tolerance",
                "a tolerance for numbers",
                f"none with `{rule.kind}`, which needs classes",
            )
        floor = 0.0
        for position, exit_ in enumerate(self.exits):
            name = f"exits[{position}]"
            require(exit_.index == position, f"{name}.index", exit_.index, f"{position}")
            require(
                exit_.cost > floor,
                f"{name}.cost",
                exit_.cost,
                f"more than {floor}: costs are cumulative and strictly increasing",
            )
            require(exit_.weight >= 0, f"{name}.weight", exit_.weight, "a number that is not negative")
            require(exit_.temperature > 0, f"{name}.temperature", exit_.temperature, "a positive number")
            floor = exit_.cost
        last = len(self.exits) - 1
        require(
            self.exits[last].threshold is None,
            f"exits[{last}].threshold",
            "a threshold",
            "null: at the final layer every sample leaves",
        )
        if self.cost_without_exits is not None:
            require(
                0 < self.cost_without_exits <= floor,
                "costWithoutExits",
                self.cost_without_exits,
                f"a positive number, at most the last exit's cost of {floor}",
            )
        if self.certificate is not None and self.certificate.reference != "final":
            reference = self.certificate.reference
            require(
                isinstance(reference, int) and reference <= last,
                "certificate.reference",
                reference,
                f"`final` or an exit in 0..<{len(self.exits)}",
            )
        if self.heads is not None:
            file = self.heads.file
            require(
                bool(file) and not os.path.isabs(file) and ".." not in file.replace(os.sep, "/").split("/"),
                "heads.file",
                f'"{file}"',
                "a path below the policy's folder",
            )


def _version(fields: Fields) -> int:
    if fields.is_missing("format"):
        raise InputError(
            "malformed",
            fields.file,
            "format",
            seen="no such key",
            expected=f'"{FORMAT}"',
            advice="Is this a policy file?",
        )
    if fields.text("format") != FORMAT:
        raise InputError(
            "malformed",
            fields.file,
            "format",
            seen=f'"{fields.text("format")[:60]}"',
            expected=f'"{FORMAT}"',
            advice="Is this a policy file?",
        )
    version = fields.optional_integer("version")
    if version is None or not 1 <= version <= NEWEST_VERSION:
        raise InputError(
            "unsupported",
            fields.file,
            "version",
            seen="no such key" if version is None else str(version),
            expected=f"1...{NEWEST_VERSION}",
            advice="The policy was made by a newer tool: update beem-policy, which reads it."
            if version is not None and version > NEWEST_VERSION
            else REMADE,
        )
    return version


def _rule(fields: Fields) -> Rule:
    memory = fields.optional_number("memory")
    return Rule(
        kind=fields.choice("kind", KINDS),
        confidence=fields.choice("confidence", MEASURES),
        weights=fields.optional_text("weights"),
        memory=1.0 if memory is None else memory,
        restart=fields.optional_choice("restart", RESTARTS) or "current",
        tolerance=fields.optional_number("tolerance"),
    )


def _exit(fields: Fields) -> Exit:
    return Exit(
        index=fields.integer("index"),
        name=fields.text("name"),
        cost=fields.number("cost"),
        weight=fields.number("weight"),
        temperature=fields.number("temperature"),
        threshold=fields.optional_number("threshold"),
    )


def _test(fields: Fields) -> TestResult:
    return TestResult(
        error=fields.number("error"),
        final_error=fields.number("finalError"),
        speed_up=fields.number("speedUp"),
        gap_interval=fields.optional_numbers("gapInterval"),
        samples=fields.optional_integer("samples"),
        harmful_flips=fields.optional_integer("harmfulFlips"),
        helpful_flips=fields.optional_integer("helpfulFlips"),
    )


def _provenance(fields: Fields) -> Provenance:
    # How splits were drawn is of no use here, but what is there is checked as in Swift.
    splits = fields.optional_object("splits")
    if splits is not None:
        splits.optional_number("train")
        for key in ("tune", "certify", "test"):
            splits.number(key)
    seed = fields.integer("seed", largest=2**64 - 1)
    if seed < 0:
        raise fields.out_of_range("seed", "a whole number that is not negative")
    return Provenance(
        recipe=fields.text("recipe"),
        features_sha256=fields.object("features").text("sha256"),
        seed=seed,
        tool=fields.text("tool"),
    )
