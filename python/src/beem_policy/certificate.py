"""What was shown of a policy on the certify split."""

from __future__ import annotations

from dataclasses import dataclass

from .fields import Fields

KINDS = (
    "paired-exact-binomial",
    "paired-exact-trinomial",
    "paired-betting",
    "group-betting",
    "sequence-betting",
    "disagreement",
)


@dataclass(frozen=True)
class Member:
    """One part of the population."""

    name: str
    samples: int
    harmful_flips: int
    helpful_flips: int
    is_certified: bool


@dataclass(frozen=True)
class Parts:
    """What was shown of the parts of the population: `classes`, or `subgroups`."""

    partition: str
    demand: str
    """`all`: no part's gap is above the allowed one; `each`: none of those marked as certified is."""
    members: tuple[Member, ...]


@dataclass(frozen=True)
class MeasuredLoss:
    """A bounded loss of whole outputs that was measured outside and certified in place of errors.

    The claim is then: the mean loss of a `unit` is at most the reference's plus `allowed_gap`, in the unit of the loss.
    """

    name: str
    unit: str
    """What one sample is: `image`, say."""
    smallest: float
    largest: float
    candidate: str
    """The candidate that was certified, as the table of losses calls it."""
    loss: float
    reference_loss: float


@dataclass(frozen=True)
class Certificate:
    """`risk gap > allowed_gap` was rejected at level `failure_probability / uses`.

    The claim is "gap <= allowed_gap" and no more, for independent samples (or groups of them) from the source that the
    certify split was drawn from.
    """

    kind: str
    reference: str | int
    """`final`, or the exit that the policy is compared with."""
    loss: str
    allowed_gap: float
    failure_probability: float
    uses: int
    """How many uses of the certify split delta was divided over beforehand."""
    samples: int
    harmful_flips: int
    helpful_flips: int
    disagreements: int | None
    p_value: float
    candidates_tested: int
    order: str
    certify_uses: int
    """How many different runs have used the certify split; above `uses` the guarantee holds for the first only."""
    speed_up: float
    parts: Parts | None
    measured_loss: MeasuredLoss | None = None
    """What was measured and certified in place of errors; flips then count samples with a higher and a lower loss."""

    @property
    def level(self) -> float:
        """The level of the tests."""
        return self.failure_probability / self.uses

    @property
    def is_overused(self) -> bool:
        """Whether more runs have used the certify split than delta was divided over."""
        return self.certify_uses > self.uses

    @staticmethod
    def read(fields: Fields) -> Certificate:
        """Reads and checks a certificate."""
        kind = fields.choice("kind", KINDS)
        loss = fields.optional_choice("loss", ("error", "disagreement"))
        parts = fields.optional_object("parts")
        measured = fields.optional_object("measuredLoss")
        certificate = Certificate(
            kind=kind,
            reference=_reference(fields),
            loss=loss or ("disagreement" if kind == "disagreement" else "error"),
            allowed_gap=fields.number("allowedGap"),
            failure_probability=fields.number("failureProbability"),
            uses=1 if (uses := fields.optional_integer("uses")) is None else uses,
            samples=fields.integer("samples"),
            harmful_flips=fields.integer("harmfulFlips"),
            helpful_flips=fields.integer("helpfulFlips"),
            disagreements=fields.optional_integer("disagreements"),
            p_value=fields.number("pValue"),
            candidates_tested=fields.integer("candidatesTested"),
            order=fields.text("order"),
            certify_uses=fields.integer("certifyUses"),
            speed_up=fields.number("speedUp"),
            parts=None if parts is None else _parts(parts),
            measured_loss=None if measured is None else _measured_loss(measured),
        )
        certificate._check(fields)
        return certificate

    def _check(self, fields: Fields) -> None:
        def require(condition: bool, key: str, expected: str) -> None:
            if not condition:
                raise fields.out_of_range(key, expected)

        loss = self.measured_loss
        if loss is None:
            require(0 <= self.allowed_gap <= 1, "allowedGap", "a fraction in 0...1")
        else:
            require(loss.largest > loss.smallest, "measuredLoss", "a largest loss above the smallest")
            require(
                0 <= self.allowed_gap <= loss.largest - loss.smallest, "allowedGap", "at most the range of the losses"
            )
        require(0 < self.failure_probability < 1, "failureProbability", "a number between 0 and 1")
        require(
            self.loss == "error" or self.allowed_gap > 0,
            "allowedGap",
            "more than 0, for no finite sample shows that labels never differ",
        )
        require(self.uses >= 1, "uses", "at least 1")
        require(self.samples >= 1, "samples", "at least 1")
        require(0 <= self.harmful_flips <= self.samples, "harmfulFlips", "a count in 0...samples")
        require(
            0 <= self.helpful_flips <= self.samples - self.harmful_flips,
            "helpfulFlips",
            "a count in 0...(samples - harmfulFlips)",
        )
        require(
            self.disagreements is None or 0 <= self.disagreements <= self.samples,
            "disagreements",
            "a count in 0...samples",
        )
        require(
            0 <= self.p_value <= self.level,
            "pValue",
            "a number in 0...(failureProbability / uses), for a larger p-value certifies nothing",
        )
        require(self.candidates_tested >= 1, "candidatesTested", "at least 1")
        require(self.certify_uses >= 1, "certifyUses", "at least 1")
        require(self.speed_up > 0, "speedUp", "a positive, finite number")


def _reference(fields: Fields) -> str | int:
    value = fields.value("reference")
    if value == "final":
        return "final"
    if type(value) is int and value >= 0:
        return value
    raise fields.malformed("reference", '"final" or the number of an exit')


def _measured_loss(fields: Fields) -> MeasuredLoss:
    return MeasuredLoss(
        name=fields.text("name"),
        unit=fields.text("unit"),
        smallest=fields.number("smallest"),
        largest=fields.number("largest"),
        candidate=fields.text("candidate"),
        loss=fields.number("loss"),
        reference_loss=fields.number("referenceLoss"),
    )


def _parts(fields: Fields) -> Parts:
    return Parts(
        partition=fields.choice("partition", ("classes", "subgroups")),
        demand=fields.choice("demand", ("all", "each")),
        members=tuple(
            Member(
                name=member.text("name"),
                samples=member.integer("samples"),
                harmful_flips=member.integer("harmfulFlips"),
                helpful_flips=member.integer("helpfulFlips"),
                is_certified=member.boolean("isCertified"),
            )
            for member in fields.objects("members")
        ),
    )
