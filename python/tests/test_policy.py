"""Policy files: what is read, what is refused and how, and what is warned of."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import warnings

import numpy as np
import pytest
from support import REPOSITORY, policy_value, safetensors_bytes

from beem_policy import InputError, Policy

CERTIFICATE = {
    "kind": "paired-exact-trinomial",
    "reference": "final",
    "allowedGap": 0.01,
    "failureProbability": 0.05,
    "samples": 100,
    "harmfulFlips": 1,
    "helpfulFlips": 9,
    "pValue": 0.01,
    "candidatesTested": 1,
    "order": "given",
    "certifyUses": 1,
    "speedUp": 2,
}
TEST = {"error": 0.125, "finalError": 0.13, "speedUp": 1.75}


def parse(value: object) -> Policy:
    return Policy.parse(json.dumps(value).encode(), "folder/policy.json")


def full() -> dict:
    """A policy with every part."""
    value = policy_value(3, certificate=copy.deepcopy(CERTIFICATE), test=dict(TEST))
    value["exits"][0]["threshold"] = 0.6
    value["heads"] = {"file": "heads.safetensors", "sha256": "0a" * 32}
    value["provenance"]["splits"] = {"tune": 0.3, "certify": 0.4, "test": 0.3}
    value["certificate"]["parts"] = {
        "partition": "classes",
        "demand": "each",
        "members": [{"name": "no", "samples": 50, "harmfulFlips": 0, "helpfulFlips": 4, "isCertified": True}],
    }
    return value


def change(value: dict, path: str, new: object) -> dict:
    """The value with a key set, or, for ..., taken out."""
    keys: list = [int(key) if key.isdigit() else key for key in path.split(".")]
    place = value
    for key in keys[:-1]:
        place = place[key]
    if new is ...:
        del place[keys[-1]]
    else:
        place[keys[-1]] = new
    return value


def test_all_parts_are_read():
    policy = parse(full())
    assert policy.name == "example" and policy.classes == ("no", "yes") and policy.version == 1
    assert policy.rule.kind == "beem" and policy.rule.memory == 1 and policy.rule.restart == "current"
    assert [exit_.threshold for exit_ in policy.exits] == [0.6, None, None]
    assert policy.costs == (1, 2, 3)
    assert policy.heads.file == "heads.safetensors"
    assert policy.certificate.reference == "final" and policy.certificate.loss == "error"
    assert policy.certificate.uses == 1 and policy.certificate.level == 0.05 and not policy.certificate.is_overused
    assert policy.certificate.parts.members[0].is_certified
    assert policy.test.speed_up == 1.75 and policy.test.samples is None
    assert policy.provenance.seed == 7
    assert policy.warnings == []


def test_what_may_be_missing_has_the_values_of_swift():
    value = full()
    for path in ("rule.memory", "rule.restart", "rule.weights", "heads", "test", "certificate", "exits.0.threshold"):
        change(value, path, ...)
    policy = parse(value)
    assert policy.rule.memory == 1 and policy.rule.restart == "current" and policy.rule.weights is None
    assert policy.heads is None and policy.test is None and policy.certificate is None
    assert policy.exits[0].threshold is None


def test_newer_keys_are_ignored():
    value = full()
    value["fresh"] = {"nan": None}
    value["exits"][0]["fresh"] = 1
    assert parse(value).classes == ("no", "yes")


@pytest.mark.parametrize(
    ("path", "new", "item", "message"),
    [
        ("format", "some-policy", "format", '"some-policy"; expected "beem-policy". Is this a policy file?'),
        ("format", ..., "format", 'no such key; expected "beem-policy"'),
        ("format", 3, "format", "the number 3; expected a string"),
        ("version", 2, "version", "2; expected 1...1. The policy was made by a newer tool: update beem-policy"),
        ("version", 0, "version", "0; expected 1...1. Write the policy again"),
        ("version", ..., "version", "no such key; expected 1...1"),
        ("version", "1", "version", "the string '1'; expected a whole number"),
        ("version", True, "version", "a boolean; expected a whole number"),
        ("name", ..., "name", "no such key; expected a policy. Write the policy again with `beem run`"),
        ("name", None, "name", "null; expected a string"),
        ("classes", [], "classes", "none; expected a name for each class"),
        ("classes", ["no", 1], "classes[1]", "the number 1; expected a string"),
        ("classes", "no", "classes", "the string 'no'; expected an array"),
        ("exits", [], "exits", "none; expected one or more exits"),
        ("exits", [1], "exits[0]", "the number 1; expected an object"),
        ("exits.1.index", 5, "exits[1].index", "5; expected 1"),
        ("exits.1.index", 1.5, "exits[1].index", "the number 1.5; expected a whole number"),
        (
            "exits.0.cost",
            0,
            "exits[0].cost",
            "0.0; expected more than 0.0: costs are cumulative and strictly increasing",
        ),
        ("exits.1.cost", 1, "exits[1].cost", "1.0; expected more than 1.0: costs are cumulative"),
        ("exits.0.weight", -0.75, "exits[0].weight", "-0.75; expected a number that is not negative"),
        ("exits.0.weight", 10**400, "exits[0].weight", "expected a number of 64 bits"),
        ("exits.0.temperature", 0, "exits[0].temperature", "0.0; expected a positive number"),
        ("exits.0.threshold", "low", "exits[0].threshold", "the string 'low'; expected a number"),
        ("exits.2.threshold", 1, "exits[2].threshold", "a threshold; expected null: at the final layer"),
        ("rule", ..., "rule", "no such key"),
        ("rule", [], "rule", "an array of 0; expected an object"),
        ("rule.kind", "boom", "rule.kind", "the string 'boom'; expected one of beem, max-probability"),
        ("rule.confidence", "sigmoid", "rule.confidence", "expected one of max-probability, margin, entropy"),
        ("rule.confidence", ..., "rule.confidence", "no such key"),
        ("rule.restart", "last", "rule.restart", "expected one of current, zero"),
        ("rule.memory", 1.5, "rule.memory", "1.5; expected a number in 0...1"),
        ("rule.tolerance", -1, "rule.tolerance", "-1.0; expected a number that is not negative"),
        (
            "rule.tolerance",
            1,
            "rule.tolerance",
            "a tolerance for numbers; expected none with `beem`, which needs classes",
        ),
        ("heads.file", "../heads.safetensors", "heads.file", "expected a path below the policy's folder"),
        ("heads.file", "/heads.safetensors", "heads.file", "expected a path below the policy's folder"),
        ("heads.file", "a/../../heads.safetensors", "heads.file", "expected a path below the policy's folder"),
        ("heads.file", "", "heads.file", "expected a path below the policy's folder"),
        ("heads.sha256", ..., "heads.sha256", "no such key"),
        ("certificate.kind", "hope", "certificate.kind", "expected one of paired-exact-binomial"),
        ("certificate.reference", 3, "certificate.reference", "3; expected `final` or an exit in 0..<3"),
        ("certificate.reference", -1, "certificate.reference", 'expected "final" or the number of an exit'),
        ("certificate.reference", "last", "certificate.reference", 'expected "final" or the number of an exit'),
        ("certificate.loss", "squared", "certificate.loss", "expected one of error, disagreement"),
        ("certificate.allowedGap", -0.1, "certificate.allowedGap", "the number -0.1; expected a fraction in 0...1"),
        ("certificate.failureProbability", 1, "certificate.failureProbability", "expected a number between 0 and 1"),
        ("certificate.uses", 0, "certificate.uses", "expected at least 1"),
        ("certificate.samples", 0, "certificate.samples", "expected at least 1"),
        ("certificate.harmfulFlips", 101, "certificate.harmfulFlips", "expected a count in 0...samples"),
        ("certificate.helpfulFlips", 100, "certificate.helpfulFlips", "a count in 0...(samples - harmfulFlips)"),
        ("certificate.disagreements", 101, "certificate.disagreements", "expected a count in 0...samples"),
        ("certificate.pValue", 0.06, "certificate.pValue", "for a larger p-value certifies nothing"),
        ("certificate.candidatesTested", 0, "certificate.candidatesTested", "expected at least 1"),
        ("certificate.certifyUses", 0, "certificate.certifyUses", "expected at least 1"),
        ("certificate.speedUp", 0, "certificate.speedUp", "expected a positive, finite number"),
        ("certificate.order", ..., "certificate.order", "no such key"),
        ("certificate.parts.demand", "some", "certificate.parts.demand", "expected one of all, each"),
        ("certificate.parts.members.0.isCertified", 1, "certificate.parts.members[0].isCertified", "true or false"),
        ("test.error", ..., "test.error", "no such key"),
        ("test.gapInterval", [0, "x"], "test.gapInterval", "expected a number"),
        ("provenance", ..., "provenance", "no such key"),
        ("provenance.seed", -1, "provenance.seed", "expected a whole number that is not negative"),
        ("provenance.splits.tune", ..., "provenance.splits.tune", "no such key"),
    ],
)
def test_wrong_values_are_refused_by_name(path, new, item, message):
    with pytest.raises(InputError) as caught:
        parse(change(full(), path, new))
    assert caught.value.item == item
    assert str(caught.value).startswith(f"folder/policy.json: {item}: ")
    assert message in str(caught.value)


def test_uses_divide_the_level():
    value = change(full(), "certificate.uses", 10)
    with pytest.raises(InputError, match="pValue"):
        parse(value)
    assert parse(change(value, "certificate.pValue", 0.005)).certificate.level == 0.005


def test_disagreement_is_the_loss_of_its_kind():
    value = change(full(), "certificate.kind", "disagreement")
    assert parse(value).certificate.loss == "disagreement"
    with pytest.raises(InputError, match="no finite sample shows that labels never differ"):
        parse(change(value, "certificate.allowedGap", 0))


@pytest.mark.parametrize("reference", ["final", 0, 2])
def test_a_reference_is_among_the_exits(reference):
    assert parse(change(full(), "certificate.reference", reference)).certificate.reference == reference


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"format": "beem-policy", ', "not valid \\(Expecting property name"),
        (b'{"threshold": NaN}', "NaN, which is no number in JSON"),
        (b'{"threshold": -Infinity}', "-Infinity, which is no number in JSON"),
        (b'{"threshold": 1e999}', "1e999, which is too large"),
        (b'{"format": "a", "format": "beem-policy"}', "the name 'format' stands twice"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"name": "\\ud800"}', "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" + b"1" * 10_000, "not valid"),
        (b"", "not valid"),
        (b"[]", "an array of 0; expected an object"),
        (b"null", "null; expected an object"),
    ],
)
def test_what_is_no_json_of_a_policy_is_refused(text, message):
    with pytest.raises(InputError, match=message) as caught:
        Policy.parse(text, "policy.json")
    assert caught.value.kind == "malformed"
    assert str(caught.value).startswith("policy.json: ")


def test_a_file_that_cannot_be_read(tmp_path):
    for path, reason in [(tmp_path / "no.json", "No such file"), (tmp_path, "Is a directory")]:
        with pytest.raises(InputError, match=f"cannot be read \\({reason}.*Check the path") as caught:
            Policy.load(path)
        assert caught.value.kind == "unreadable" and caught.value.file == str(path)


def test_loading_warns_of_what_a_policy_cannot_claim(tmp_path):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(policy_value()))
    with pytest.warns(UserWarning, match="policy.json has no certificate") as caught:
        assert Policy.load(path).certificate is None
    assert caught[0].filename == __file__, "the warning points at who loads"
    path.write_text(json.dumps(change(full(), "certificate.certifyUses", 3)))
    with pytest.warns(UserWarning, match="used by 3 different runs, and delta was divided over 1: .* the first only"):
        assert Policy.load(path).certificate.is_overused
    path.write_text(json.dumps(full()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Policy.load(str(path))


def test_heads_are_those_of_the_policy(tmp_path):
    def write(classes: int, exits: int) -> str:
        tensors = {}
        for i in range(exits):
            tensors[f"exit.{i}.weight"] = np.ones((classes, 4), np.float32)
            tensors[f"exit.{i}.bias"] = np.zeros(classes, np.float32)
        data = safetensors_bytes(tensors)
        (tmp_path / "heads.safetensors").write_bytes(data)
        return hashlib.sha256(data).hexdigest()

    def load(digest: str) -> Policy:
        (tmp_path / "policy.json").write_text(json.dumps(change(full(), "heads.sha256", digest)))
        return Policy.load(tmp_path / "policy.json")

    policy = load(write(2, 3))
    assert len(policy.load_heads()) == 3
    moved = tmp_path / "elsewhere.safetensors"
    (tmp_path / "heads.safetensors").rename(moved)
    assert len(policy.load_heads(moved)) == 3
    with pytest.raises(InputError, match="heads.safetensors: cannot be read"):
        policy.load_heads()
    write(2, 3)
    with pytest.raises(InputError, match=r"SHA-256 [0-9a-f]{64}; expected 0a0a.*: restore them, or calibrate again"):
        load("0a" * 32).load_heads()
    with pytest.raises(InputError, match="heads of 2 exits; expected one for each of the 3 exits"):
        load(write(2, 2)).load_heads()
    with pytest.raises(InputError, match="exit.0.bias: 3 classes; expected 2"):
        load(write(3, 3)).load_heads()
    with pytest.raises(InputError, match="a policy without heads; expected heads. It was calibrated from exit outputs"):
        parse(policy_value()).load_heads()


def test_errors_survive_pickling():
    with pytest.raises(InputError) as caught:
        parse(change(full(), "rule.memory", 2))
    copied = pickle.loads(pickle.dumps(caught.value))
    assert str(copied) == str(caught.value) and copied.item == "rule.memory"


def test_the_schema_lists_what_is_read():
    """Kinds, measures and the newest version are those of the schema in the repository."""
    from beem_policy import certificate, policy

    schema = json.loads((REPOSITORY / "schema" / "policy.schema.json").read_text())["properties"]
    rule = schema["rule"]["properties"]
    assert rule["kind"]["enum"] == list(policy.KINDS)
    assert rule["confidence"]["enum"] == list(policy.MEASURES)
    assert rule["restart"]["enum"] == list(policy.RESTARTS)
    assert schema["certificate"]["properties"]["kind"]["enum"] == list(certificate.KINDS)
    assert schema["version"] == {"const": policy.NEWEST_VERSION}


def test_the_cost_without_exits_is_what_speed_up_is_relative_to():
    assert parse(full()).full_cost == 3
    assert parse(change(full(), "costWithoutExits", 2.5)).full_cost == 2.5
    for wrong in (0, -1, 3.5):
        with pytest.raises(InputError, match=r"costWithoutExits: .*expected a positive number, at most the last"):
            parse(change(full(), "costWithoutExits", wrong))


def test_a_certificate_may_be_of_a_loss_that_was_measured():
    loss = {"name": "1 - BLEU", "unit": "image", "smallest": 0, "largest": 2, "candidate": "t0.5", "loss": 0.5,
            "referenceLoss": 0.49}  # fmt: skip
    value = change(full(), "certificate.measuredLoss", loss)
    value["certificate"]["kind"] = "sequence-betting"
    certificate = parse(change(value, "certificate.allowedGap", 1.5)).certificate
    assert certificate.measured_loss.candidate == "t0.5" and certificate.measured_loss.reference_loss == 0.49
    with pytest.raises(InputError, match="allowedGap: .*expected at most the range of the losses"):
        parse(change(value, "certificate.allowedGap", 2.5))
    with pytest.raises(InputError, match="measuredLoss: .*expected a largest loss above the smallest"):
        parse(change(value, "certificate.measuredLoss.largest", 0))
    assert parse(full()).certificate.measured_loss is None
