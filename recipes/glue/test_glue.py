"""Tests of the preparation, the policies and the tables. `python -m pytest` in this folder. All sentences are made up.

What needs torch, scikit-learn or the `beem` command is left out where it is missing.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import prepare
from draw import connected, divide, limited, majority, words
from limit import LimitError, limit_train
from policies import CommandError, Point, Rule, Tuning, call, certify_in_order, fastest_without_loss, slowest_at
from prepare import main
from sentences import SpanIndex, fold, found_within, maximal, origins
from tables import TableError, read_cola, read_mrpc, read_qnli, read_rte


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def samples_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# --- folding the two forms of SST-2 ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("glue", "sentlevel"),
    [
        ("a re-heated , half-baked soup .", "a re heated , half baked soup"),
        ("a soup ( of sorts ) for everyone", "a soup lrb of sorts rrb for everyone"),
        ("the purée is a cliché", "the pur e is a clich"),
        ("the color of the theater", "the colour of the theatre"),
        ("empty theaters", "empty theatres"),
        ("you 're gon na wan na nap", "you 're gonna wanna nap"),
        ("he learned to organize", "he learnt to organise"),
        ("traveled , gray and defense", "travelled , grey and defence"),
    ],
)
def test_both_forms_of_a_sentence_fold_to_the_same_tokens(glue: str, sentlevel: str) -> None:
    assert fold(glue) == fold(sentlevel) != ()


def test_different_words_stay_different_and_punctuation_alone_is_nothing() -> None:
    assert fold("a dull soup") != fold("a full soup")
    assert fold("... -- !") == ()


def test_span_index_finds_whole_words_in_sentences_and_long_sentences_in_texts() -> None:
    sentences = [fold("the soup of the day is cold"), fold("dull")]
    asked = [fold("soup of the day"), fold("soup of the da"), fold("of soup"), fold("dull")]
    index = SpanIndex(sentences, asked)
    assert [index.has(tokens) for tokens in asked] == [True, False, False, True]
    assert index.is_within(fold("yet the soup of the day is cold again"))
    assert not index.is_within(fold("a dull evening"))  # one word tells nothing
    assert found_within(asked, sentences) == 2


def test_maximal_and_origins() -> None:
    texts = [fold(text) for text in ("cold soup", "a cold soup today", "soup", "a cold soup today", "tea")]
    assert maximal(texts) == [1, 4]
    assert origins([texts[4], texts[1], texts[0]], set(texts)) == {
        texts[4]: 0, texts[1]: 1, texts[0]: 1, texts[2]: 1
    }  # fmt: skip


# --- groups and the draw ---------------------------------------------------------------------------------------------


def test_rows_linked_by_a_chain_are_one_group() -> None:
    assert connected([["a", "b"], ["c", "d"], ["b", "e"], ["e", "f"], ["g", "g"]]) == [0, 1, 0, 0, 2]


def test_the_draw_is_stratified_and_depends_on_names_and_seed_alone() -> None:
    names = {number: f"row {number}" for number in range(100)}
    labels = {number: "ab"[number % 2] for number in range(100)}
    fractions = {"train": 0.5, "tune": 0.2, "certify": 0.3}
    drawn = divide(names, labels, fractions, 7, "soup")
    assert len(drawn) == 100
    for label in "ab":
        found = [drawn[number] for number in names if labels[number] == label]
        assert [found.count(split) for split in fractions] == [25, 10, 15]
    backwards = divide(names, dict(reversed(labels.items())), fractions, 7, "soup")
    assert backwards == drawn
    assert divide(names, labels, fractions, 8, "soup") != drawn
    assert divide(names, labels, fractions, 7, "stew") != drawn


def test_the_draw_has_its_golden_value() -> None:
    names = {number: f"row {number}" for number in range(6)}
    drawn = divide(names, dict.fromkeys(names, "a"), {"train": 0.5, "test": 0.5}, 7, "soup")
    assert [number for number in names if drawn[number] == "train"] == GOLDEN


GOLDEN = [0, 1, 3]


def test_words_and_majority() -> None:
    assert words("It's COLD, cold!") == ("it", "s", "cold", "cold")
    assert words(" ?! ") == ("?!",)
    assert majority(["b", "a", "b", "a"]) == "a"


# --- reading ---------------------------------------------------------------------------------------------------------


def test_mrpc_is_read_with_and_without_header_and_quotes_are_characters(tmp_path: Path) -> None:
    row = '1\t10\t11\tShe said "soup.\tSoup, she said.'
    write(tmp_path / "msr_paraphrase_train.txt", "\ufeff" + row)
    write(
        tmp_path / "msr_paraphrase_test.txt",
        "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String",
        row.replace("1\t", "0\t", 1),
    )
    rows = read_mrpc(tmp_path)
    assert [(row.text, row.pair, row.label, row.part) for row in rows] == [
        ('She said "soup.', "Soup, she said.", "equivalent", "pool"),
        ('She said "soup.', "Soup, she said.", "not_equivalent", "test"),
    ]


def test_rte_is_read_in_both_forms(tmp_path: Path) -> None:
    line = {"premise": "The soup is hot.", "hypothesis": "It is warm.", "label": "entailment", "idx": 0}
    write(tmp_path / "superglue_train.jsonl", json.dumps(line))
    write(
        tmp_path / "dev.tsv", "index\tsentence1\tsentence2\tlabel", "0\tThe soup is hot.\tIt is cold.\tnot_entailment"
    )
    assert [(row.pair, row.label, row.part) for row in read_rte(tmp_path)] == [
        ("It is warm.", "entailment", "pool"),
        ("It is cold.", "not_entailment", "test"),
    ]


def test_cola_tells_other_articles_apart(tmp_path: Path) -> None:
    write(tmp_path / "train.tsv", "aa01\t1\t\tSoup was eaten.", "aa01\t0\t*\tSoup eaten was by.")
    write(tmp_path / "dev.tsv", "aa01\t1\t\tTea was drunk.", "zz99\t1\t\tBread was cut.")
    assert [(row.label, row.part) for row in read_cola(tmp_path)] == [
        ("acceptable", "pool"),
        ("unacceptable", "pool"),
        ("acceptable", "test"),
        ("acceptable", "elsewhere"),
    ]


def test_qnli_reads_a_train_file_where_there_is_one(tmp_path: Path) -> None:
    header = "index\tquestion\tsentence\tlabel"
    write(tmp_path / "dev.tsv", header, "0\tWhat is hot?\tSoup is hot.\tentailment")
    assert [row.part for row in read_qnli(tmp_path)] == ["pool"]
    write(tmp_path / "train.tsv", header, "0\tWhat is cold?\tIce is.\tentailment")
    assert [row.part for row in read_qnli(tmp_path)] == ["pool", "train"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["index\tquestion\tlabel"], "dev.tsv:1: expected the columns question, sentence, label in the header"),
        (["question\tsentence\tlabel", "What?\tSoup."], "dev.tsv:2: expected 3 fields divided by tabs, saw 2"),
        (["question\tsentence\tlabel", "What?\t\tentailment"], 'dev.tsv:2: expected a text as sentence, saw ""'),
        (["question\tsentence\tlabel", "What?\tSoup.\tyes"], "dev.tsv:2: expected one of entailment, not_entailment"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(tmp_path: Path, lines: list[str], message: str) -> None:
    write(tmp_path / "dev.tsv", *lines)
    with pytest.raises(TableError) as raised:
        read_qnli(tmp_path)
    assert message in str(raised.value)


def test_bytes_that_are_not_utf8_are_said_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_bytes(b"question\tsentence\tlabel\nWhat?\tpur\xe9e\tentailment\n")
    with pytest.raises(TableError, match=r"dev\.tsv:2: expected UTF-8, saw byte 0xe9"):
        read_qnli(tmp_path)


# --- whole tasks -----------------------------------------------------------------------------------------------------

DISHES = ("soup", "stew", "bread", "pie", "salad", "rice", "cake", "tart", "curry", "roast")
WAYS = ("cold", "warm", "sour", "sweet", "bland", "crisp", "heavy", "light", "stale", "fresh")


def rte_lines(first: int, count: int) -> list[str]:
    """Made-up pairs; every fourth shares its premise with the one before."""
    lines = []
    for number in range(first, first + count):
        topic = number - 1 if number % 4 == 3 else number
        lines.append(
            json.dumps(
                {
                    "premise": f"Cook {topic} says the {DISHES[topic % 10]} is {WAYS[topic // 10 % 10]}.",
                    "hypothesis": f"Guest {number} agrees.",
                    "label": "entailment" if number % 2 else "not_entailment",
                }
            )
        )
    return lines


@pytest.fixture
def rte(tmp_path: Path) -> Path:
    write(tmp_path / "data" / "RTE" / "train.jsonl", *rte_lines(0, 200), *rte_lines(0, 1))
    # The first rows of dev repeat premises of the train file.
    write(
        tmp_path / "data" / "RTE" / "val.jsonl",
        *rte_lines(1000, 40),
        *(line.replace("Guest", "Host") for line in rte_lines(0, 3)),
    )
    return tmp_path


def test_groups_never_cross_splits_and_held_out_groups_keep_one_row(rte: Path) -> None:
    assert main(["rte", "--data", str(rte / "data"), "--output", str(rte / "out")]) == 0
    samples = samples_of(rte / "out" / "rte.jsonl")
    splits: dict[object, set[object]] = {}
    texts: dict[object, set[object]] = {}
    for sample in samples:
        splits.setdefault(sample["group"], set()).add(sample["split"])
        texts.setdefault(sample["text"], set()).add(sample["split"])
    assert all(len(found) == 1 for found in [*splits.values(), *texts.values()])
    held = [sample["group"] for sample in samples if sample["split"] != "train"]
    assert len(held) == len(set(held))
    train = [sample["group"] for sample in samples if sample["split"] == "train"]
    assert len(train) > len(set(train))  # there, groups are whole
    report = json.loads((rte / "out" / "rte.json").read_text())
    left_out = sum(count for what, count in report["counts"].items() if what.startswith("left out"))
    assert report["counts"]["rows read"] == 244 == left_out + len(samples)
    assert report["counts"]["left out: duplicates"] == 1
    # Rows 0 to 3 of train: dev has the premises of the first three, and the fourth has that of the third.
    assert report["counts"]["left out: they share a sentence with a row of the published test or dev file"] == 4


def test_the_same_files_give_the_same_bytes_and_another_seed_others(rte: Path) -> None:
    outputs = []
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        assert main(["rte", "--data", str(rte / "data"), "--output", str(rte / name), "--seed", seed]) == 0
        outputs.append((rte / name / "rte.jsonl").read_bytes())
    assert outputs[0] == outputs[1] != outputs[2]
    assert sorted(path.name for path in (rte / "a").iterdir()) == ["rte.json", "rte.jsonl"]


def test_a_text_with_both_labels_is_left_out_everywhere(rte: Path) -> None:
    lines = rte_lines(300, 1)
    write(
        rte / "data" / "RTE" / "train.jsonl",
        *rte_lines(0, 200),
        *lines,
        lines[0].replace("not_entailment", "entailment"),
    )
    assert main(["rte", "--data", str(rte / "data"), "--output", str(rte / "out")]) == 0
    assert not any("Guest 300" in str(sample["pair"]) for sample in samples_of(rte / "out" / "rte.jsonl"))
    report = json.loads((rte / "out" / "rte.json").read_text())
    assert report["counts"]["left out: the same text with both labels"] == 2


def test_a_failing_task_writes_nothing_and_names_the_file(rte: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (rte / "data" / "RTE" / "val.jsonl").unlink()
    assert main(["rte", "--data", str(rte / "data"), "--output", str(rte / "out")]) == 2
    assert "expected one of the files dev.tsv, superglue_val.jsonl, val.jsonl, saw none" in capsys.readouterr().err
    assert list((rte / "out").iterdir()) == []


def test_a_limit_draws_train_rows_alone_and_keeps_their_bytes(rte: Path) -> None:
    assert main(["rte", "--data", str(rte / "data"), "--output", str(rte / "out")]) == 0
    whole = rte / "out" / "rte.jsonl"
    path = limit_train(whole, 20, 7)
    assert path.name == "rte-20.jsonl"
    lines, kept = whole.read_text(encoding="utf-8").splitlines(), path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line in set(kept)] == kept  # the order of the file
    train = [line for line in lines if json.loads(line)["split"] == "train"]
    assert len(set(kept) & set(train)) == 20 < len(train)
    assert set(lines) - set(kept) <= set(train)  # tune, certify and test are whole

    before, after = (json.loads(file.with_suffix(".json").read_text()) for file in (whole, path))
    assert after["splits"]["train"]["rows"] == 20
    assert after["splits"]["train"]["entailment"] + after["splits"]["train"]["not_entailment"] == 20
    assert after["counts"]["train rows left out: more than --limit"] == len(train) - 20
    assert {split: after["splits"][split] for split in prepare.HELD_OUT} == {
        split: before["splits"][split] for split in prepare.HELD_OUT
    }
    again = limit_train(whole, 20, 8).read_text(encoding="utf-8").splitlines()
    assert set(again) != set(kept)
    assert limit_train(whole, 10_000, 7).read_bytes() == whole.read_bytes()
    with pytest.raises(LimitError, match="--limit 1: leaves no train row of"):
        limit_train(whole, 1, 7)


def test_rows_of_a_smaller_limit_are_among_those_of_a_larger_one() -> None:
    texts = [(f"critic {number}", "") for number in range(50)]
    few, many = limited(texts, 5, 7), limited(texts, 20, 7)
    assert len(few) == 5 and set(few) < set(many) and many == sorted(many)
    # The draw is of the texts, wherever they stand.
    backwards = [texts[::-1][row] for row in limited(texts[::-1], 5, 7)]
    assert sorted(backwards) == sorted(texts[row] for row in few)


def review(number: int) -> str:
    """A made-up sentence of ten words or so that no other has as a part."""
    return f"critic {number} finds the {DISHES[number % 10]} rather {WAYS[number // 10 % 10]} and leaves table {number}"


@pytest.fixture
def sst2(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "SST-2"
    phrases = []
    for number in range(200):
        label = number % 2
        parts = review(number).split()
        phrases += [
            f"{review(number)} . \t{label}",
            f"{' '.join(parts[:6])} \t{label}",
            f"{' '.join(parts[3:8])} \t{label}",
        ]
    phrases += ["table of nobody \t1", "... \t0"]
    write(folder / "train.tsv", "sentence\tlabel", *phrases)
    write(
        folder / "dev.tsv", "sentence\tlabel", *(f"{review(number)} . \t{number % 2}" for number in range(1000, 1020))
    )
    write(folder / "test.tsv", "index\tsentence", *(f"{number}\t{review(number)} !" for number in range(2000, 2030)))
    write(folder / "sentlevel_train.tsv", *(f"{review(number)}\t{number % 2}" for number in range(200)))
    write(folder / "sentlevel_test.tsv", *(f"{review(number)}\t{number % 2}" for number in range(2000, 2030)))
    return tmp_path


def test_no_phrase_to_train_lies_in_a_held_out_sentence(sst2: Path) -> None:
    assert main(["sst2", "--data", str(sst2 / "data"), "--output", str(sst2 / "out")]) == 0
    samples = samples_of(sst2 / "out" / "sst2.jsonl")
    of = {
        split: [str(s["text"]) for s in samples if s["split"] == split]
        for split in ("train", "tune", "certify", "test")
    }
    assert (len(of["tune"]), len(of["certify"]), len(of["test"])) == (30, 60 + 20, 30)
    assert all(text.endswith(" !") for text in of["test"])  # GLUE's form, with the labels of the other
    held = [f" {text} " for split in ("tune", "certify", "test") for text in of[split]]
    assert of["train"] and not any(f" {text} " in sentence for text in of["train"] for sentence in held)
    # The middle parts ("the soup rather cold and") occur in many sentences; whole train sentences are all there.
    assert sum(text.endswith(" .") for text in of["train"]) == 110
    assert "table of nobody" not in of["train"]
    counts = json.loads((sst2 / "out" / "sst2.json").read_text())["counts"]
    assert counts["phrases left out: in no train sentence, so of unknown origin"] == 1
    assert counts["phrases left out: punctuation alone"] == 1
    left_out = sum(count for what, count in counts.items() if what.startswith("phrases left out"))
    assert left_out + counts["phrases to train"] == counts["phrases read"] == 602


def test_without_sentences_they_are_derived_and_the_loss_is_said(sst2: Path) -> None:
    for name in ("sentlevel_train.tsv", "sentlevel_test.tsv"):
        (sst2 / "data" / "SST-2" / name).unlink()
    assert main(["sst2", "--data", str(sst2 / "data"), "--output", str(sst2 / "out")]) == 0
    report = json.loads((sst2 / "out" / "sst2.json").read_text())
    # 200 sentences and the phrase of nobody.
    assert report["counts"]["sentences read, pool"] == 201
    assert report["splits"]["test"]["rows"] == 20
    assert "1,821 labelled test sentences are lost" in report["notes"][0]


def test_a_phrase_in_a_held_out_sentence_would_be_noticed(sst2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second search, by strings, is one that can fail."""

    class Blind(SpanIndex):
        def has(self, tokens: tuple[str, ...]) -> bool:
            return bool(tokens) and self._name == "own"

        def is_within(self, tokens: tuple[str, ...]) -> bool:
            return False

        def __init__(self, sentences: object, wanted: object) -> None:
            Blind.made += 1
            self._name = "own" if Blind.made == 3 else "other"  # the third index made is that of the train sentences

        made = 0

    monkeypatch.setattr(prepare, "SpanIndex", Blind)
    with pytest.raises(AssertionError, match="lie in held-out sentences"):
        main(["sst2", "--data", str(sst2 / "data"), "--output", str(sst2 / "out")])


# --- policies and tables ---------------------------------------------------------------------------------------------

RECIPE = "name: soups\nfeatures: features.safetensors\nrule: { kind: auto }\noutput: ../out\n"
CACHE = {"exits": '["layer 1", "layer 2", "layer 3"]', "classes": '["bad", "good"]', "sha256": "0" * 64}


@pytest.fixture
def tuning(tmp_path: Path) -> Tuning:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "heads.safetensors").write_bytes(b"heads")
    return Tuning(Path("no-command"), tmp_path / "recipe.yaml", tmp_path / "heads.safetensors", tmp_path / "rules")


def point(threshold: float | None, cost: float, gap: float) -> Point:
    return Point(threshold, cost, 3 / cost, gap, 0, 0)


def test_tuned_is_the_fastest_that_errs_no_more_and_chosen_the_slowest_that_is_fast_enough() -> None:
    points = [point(None, 3, 0), point(2.5, 2.4, -0.01), point(1.5, 1.9, 0), point(0.5, 1.2, 0.02)]
    assert fastest_without_loss(points) == points[2]
    assert slowest_at(points, 1.5) == points[2]
    assert slowest_at(points, 1.6) == points[3]
    assert slowest_at(points, 3) is None
    assert fastest_without_loss(points[3:]) is None


def test_a_tuned_policy_has_no_certificate_and_the_thresholds_of_its_point(tuning: Tuning) -> None:
    rule = Rule("patience", "patience")
    policy = json.loads(tuning.write_policy(rule, point(1.5, 2, 0), CACHE).read_text())
    assert policy["certificate"] is None
    assert [exit_["threshold"] for exit_ in policy["exits"]] == [1.5, 1.5, None]
    assert [exit_["cost"] for exit_ in policy["exits"]] == [1, 2, 3]
    never = json.loads(tuning.write_policy(rule, None, CACHE).read_text())
    assert [exit_["threshold"] for exit_ in never["exits"]] == [None] * 3


@pytest.mark.parametrize(("cost", "thresholds"), [(1, [0, None, None]), (2, [None, 0, None]), (3, [None] * 3)])
def test_a_static_policy_leaves_at_one_exit(tuning: Tuning, cost: int, thresholds: list[float | None]) -> None:
    policy = json.loads(tuning.write_policy(Rule("static", "static"), point(7.5, cost, 0), CACHE).read_text())
    assert [exit_["threshold"] for exit_ in policy["exits"]] == thresholds


def test_a_recipe_with_another_rule_keeps_the_rest(tuning: Tuning) -> None:
    text = tuning.recipe_with(Rule("BEEM-A, memory 0.5", "beem", "accuracy", 0.5)).read_text()
    assert "rule: { kind: beem, weights: accuracy, memory: 0.5 }\n" in text
    assert f"features: {tuning.recipe.parent / 'features.safetensors'}\n" in text
    assert text.startswith("name: soups\n")


def fake_beem(tmp_path: Path, smallest: float) -> Path:
    """A command that certifies gaps from `smallest` on, from large to small until one fails."""
    path = tmp_path / "fake-beem"
    path.write_text(
        f"""#!{sys.executable}
import json, sys
arguments = sys.argv[sys.argv.index("--allowed-gap") + 1 : sys.argv.index("--output")]
with open({str(tmp_path / "asked")!r}, "a") as asked: asked.write(" ".join(arguments))
assert sys.argv[sys.argv.index("--split") + 1] == "certify"
gaps, certificate = [], None
for gap in sorted(map(float, arguments), reverse=True):
    gaps.append({{"allowedGap": gap, "pValue": 0.01, "passed": gap >= {smallest}}})
    if not gaps[-1]["passed"]: break
    certificate = {{"allowedGap": gap}}
with open(sys.argv[sys.argv.index("--output") + 1], "w") as output: json.dump(certificate, output)
print(json.dumps({{"certificate": certificate, "gaps": gaps, "pValue": 0.01, "samples": 9, "harmfulFlips": 1,
                  "helpfulFlips": 2}}))
"""
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("smallest", "count", "kept"), [(0.0, 4, 0), (0.01, 3, 0.01), (0.5, 1, None)])
def test_gaps_are_tested_in_order_and_the_first_failure_ends_it(
    tmp_path: Path, smallest: float, count: int, kept: float | None
) -> None:
    command = fake_beem(tmp_path, smallest)
    tests = certify_in_order(command, tmp_path / "policy.json", tmp_path / "cache", (0.02, 0.01, 0.005, 0.0))
    assert (tmp_path / "asked").read_text() == "0.02 0.01 0.005 0.0", "one call is one use of the split"
    assert [test["allowedGap"] for test in tests] == [0.02, 0.01, 0.005, 0.0][:count]
    assert [test["isCertified"] for test in tests] == [test["allowedGap"] >= smallest for test in tests]
    assert all(test["samples"] == 9 and test["harmfulFlips"] == 1 for test in tests)
    certified = tmp_path / "certified.json"
    assert (json.loads(certified.read_text())["allowedGap"] if certified.exists() else None) == kept
    assert not (tmp_path / "attempt.json").exists()


def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    command = tmp_path / "broken"
    command.write_text("#!/bin/sh\nexit 2\n")
    command.chmod(0o755)
    with pytest.raises(CommandError, match="broken frontier: ended with exit code 2"):
        call([command, "frontier"])


def test_measures_against_hand_counts() -> None:
    pytest.importorskip("sklearn")
    from results import Decisions, measure

    header = "sample,exit,label,score,cost\n"
    own = Decisions.parse(header + "4,0,1,0.9,1.0\n5,0,1,0.9,1.0\n7,2,0,0.5,3.0\n9,2,0,0.5,3.0\n")
    final = Decisions.parse(header + "4,2,0,0.9,3.0\n5,2,1,0.9,3.0\n7,2,0,0.5,3.0\n9,2,0,0.5,3.0\n")
    measured = measure(own, final, np.array([0, 1, 0, 1]), layers=3, positive=1)
    assert (measured.accuracy, measured.harmful, measured.helpful, measured.gap) == (0.5, 1, 0, 0.25)
    assert measured.speed_up == 3 / 2
    assert measured.f1 == 0.5  # one true positive, one false positive, one false negative
    assert measured.matthews == 0
    assert measured.gap_error == pytest.approx((0.25 - 0.0625) ** 0.5 / 2)
    assert measured.leave_share == [0.5, 0, 0.5]
    with pytest.raises(ValueError, match="other samples"):
        measure(own, Decisions(final.samples + 1, final.exits, final.labels, final.costs), np.zeros(4), 3, 1)


# --- fine-tuning -----------------------------------------------------------------------------------------------------


def tiny_encoder(folder: Path) -> None:
    """A BERT of two layers with random weights, over a made-up vocabulary."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "is", *DISHES, *WAYS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained(folder)


@pytest.fixture
def dishes(tmp_path: Path) -> Path:
    """Sentences whose class is told by one word; rows that are not of the train split are wrong on purpose."""
    rows = [
        {
            "text": f"the {dish} is {way}",
            "label": "good" if place % 2 else "bad",
            "split": "train",
            "group": number * 10 + place,
        }
        for number, dish in enumerate(DISHES)
        for place, way in enumerate(WAYS)
    ]
    rows += [{"text": "the soup is cold", "label": "unheard of", "split": "certify", "group": 1000}]
    write(tmp_path / "dishes.jsonl", *map(json.dumps, rows))
    return tmp_path


def test_finetuning_learns_from_train_alone_and_writes_an_encoder(dishes: Path) -> None:
    pytest.importorskip("accelerate")
    torch = pytest.importorskip("torch")
    from transformers import AutoModel, AutoTokenizer

    import finetune

    tiny_encoder(dishes / "tiny")
    command = ["--model", str(dishes / "tiny"), "--data", str(dishes / "dishes.jsonl"), "--threads", "1"]
    command += ["--epochs", "4", "--batch-size", "4", "--learning-rate", "0.005", "--output"]
    assert finetune.main([*command, str(dishes / "a")]) == 0
    report = json.loads((dishes / "a" / "finetuning.json").read_text())
    assert report["classes"] == ["bad", "good"]
    assert report["rows"] == {"learned": 90, "heldBack": 10}
    chosen = report["epochs"][report["chosenEpoch"] - 1]
    assert chosen["heldBackAccuracy"] == max(epoch["heldBackAccuracy"] for epoch in report["epochs"])
    assert report["epochs"][-1]["trainLoss"] < report["epochs"][0]["trainLoss"] - 0.1
    tuned, before = (AutoModel.from_pretrained(dishes / name).state_dict() for name in ("a", "tiny"))
    assert list(tuned) == list(before)  # the encoder alone, no classifier
    assert not torch.equal(tuned["embeddings.word_embeddings.weight"], before["embeddings.word_embeddings.weight"])
    assert AutoTokenizer.from_pretrained(dishes / "a")("the soup")["input_ids"] == [2, 5, 7, 3]

    assert finetune.main([*command, str(dishes / "b")]) == 0
    files = [(dishes / name / "model.safetensors").read_bytes() for name in "ab"]
    assert files[0] == files[1]
    assert finetune.main([*command, str(dishes / "a")]) == 2  # is there already
    assert sorted(path.name for path in dishes.iterdir()) == ["a", "b", "dishes.jsonl", "tiny"]


def test_an_interrupted_finetuning_leaves_nothing(dishes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("accelerate")
    pytest.importorskip("torch")
    import finetune

    def interrupt(self: object, args: object, state: object, control: object, **_: object) -> None:
        raise KeyboardInterrupt

    tiny_encoder(dishes / "tiny")
    monkeypatch.setattr(finetune.KeepBest, "on_evaluate", interrupt)
    command = ["--model", str(dishes / "tiny"), "--data", str(dishes / "dishes.jsonl"), "--epochs", "1"]
    assert finetune.main([*command, "--output", str(dishes / "a")]) == 130
    assert sorted(path.name for path in dishes.iterdir()) == ["dishes.jsonl", "tiny"]


def options_of(*arguments: str) -> argparse.Namespace:
    for module in ("safetensors", "sklearn"):
        pytest.importorskip(module)
    import run

    return run.parse_arguments(["--data", "glue", "--model", "soups/mini", "--work", "work", *arguments])


def test_a_variant_has_places_of_its_own_and_shares_the_draw() -> None:
    plain, second = options_of(), options_of("--variant", "big", "--limit", "20")
    import run

    one, two = run.Steps("rte", plain), run.Steps("rte", second)
    assert (one.folder.name, two.folder.name) == ("rte", "rte-big")
    assert (one.encoder, two.encoder) == (Path("work/encoders/rte"), Path("work/encoders/rte-big"))
    assert (one.checkpoint.name, two.checkpoint.name) == ("rte", "rte-big")
    assert one.features != two.features
    assert one.samples == one.all_samples == two.all_samples
    assert two.samples == Path("work/samples/rte-20.jsonl")
    assert plain.backbone == "mini"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("--variant", "../big"), "--variant: expected small letters"), (("--limit", "0"), "--limit: expected a number")],
)
def test_options_that_cannot_be_meant_are_refused(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        options_of(*arguments)
    assert message in capsys.readouterr().err


def test_a_variant_without_a_recipe_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    options_of()
    import run

    arguments = ["--data", "glue", "--model", "mini", "--work", "work", "--variant", "unheard", "rte"]
    assert run.main(arguments) == 2
    assert "a variant needs a recipe for each task" in capsys.readouterr().err


def test_an_encoder_of_another_model_is_not_taken_for_this_one(tmp_path: Path) -> None:
    options = options_of("--work", str(tmp_path))
    import run

    steps = run.Steps("rte", options)
    write(steps.samples, "{}")
    known = {"model": "kitchens/mini", "data": {"sha256": run.digest(steps.samples)}}
    known |= {"settings": {"epochs": 6, "seed": 7}}
    write(steps.encoder / "finetuning.json", json.dumps(known))
    steps.finetune()  # is there
    write(steps.encoder / "finetuning.json", json.dumps(known | {"model": "kitchens/big"}))
    with pytest.raises(run.StepError, match="big.*expected.*mini.*name a --variant"):
        steps.finetune()


def test_every_recipe_is_of_a_task_and_writes_where_the_run_looks() -> None:
    options_of()
    import run

    recipes = sorted(run.HERE.glob("*/recipe.yaml"))
    assert len(recipes) >= len(run.TASKS)
    for recipe in recipes:
        place = recipe.parent.name
        assert place.partition("-")[0] in run.TASKS
        text = recipe.read_text(encoding="utf-8")
        assert f"name: glue-{place}\n" in text
        assert text.endswith(f"output: ../../../checkpoints/glue/{place}\n")


def test_variants_get_a_table_of_their_own() -> None:
    pytest.importorskip("sklearn")
    from results import tables_by_backbone

    row = {"accuracy": 0.75, "f1": 0.8, "matthews": 0.5, "speed_up": 1.25, "gap": 0.0125, "gap_error": 0.004}
    result = {"task": "rte", "title": "RTE", "rules": {"static": {"test": row}}, "backbone": "mini"}
    other = result | {"variant": "big", "backbone": "big soups", "samples": {"splits": {"train": {"rows": 1500}}}}
    body = tables_by_backbone([result, other])
    assert body.count("| static | 75.0 %, 1.25x |") == 2
    assert "\n\nbig soups, learned from train rows: RTE 1,500.\n\n| rule | RTE |" in body
    assert body.startswith("| rule | RTE |")  # the encoder without a name needs no heading


def test_tables_show_what_was_measured() -> None:
    pytest.importorskip("sklearn")
    from results import certificate_line, summary, table

    row = {"accuracy": 0.75, "f1": 0.8, "matthews": 0.5, "speed_up": 1.25, "gap": 0.0125, "gap_error": 0.004}
    rules = {name: {"test": row, "tune": row, "elsewhere": row} for name in ("final layer", "BEEM-A")}
    result = {"task": "cola", "title": "CoLA", "rules": rules, "elsewhere": {}, "certificate": None}
    lines = table("cola", result).splitlines()
    assert lines[0].count("|") == lines[1].count("|") == lines[3].count("|") == 10
    assert lines[3] == "| BEEM-A | 75.0 % | 0.500 | +1.25 ± 0.40 | 1.25x | 1.25x | +1.25 | 0.500 | 1.25x |"
    assert lines[2].startswith("| final layer | 75.0 % | 0.500 |  | 1.25x")
    assert "| BEEM-A | 75.0 %, Matthews 0.500, 1.25x |" in summary([result])
    assert "never leaves early" in certificate_line(result)
