"""Tests of the page of samples, of the tables and of the one command; all made up. NumPy alone is needed."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "src"))

import run
from captions import CaptionError
from samples import END_WORD, STYLE, Sample, page
from tables import certificate_text, clock_text, policy_table, table_rows

LAMP = Sample(
    name='lamp "1".jpg',
    jpeg=b"not looked at",
    references=("A <b>red</b> lamp hums .", "The lamp & the kite ."),
    final=("a", "red", "lamp", END_WORD),
    early=("a", "blue", "lamp", END_WORD),
    layers=(1, 4, 2, 1),
)


class Tags(HTMLParser):
    """Checks that tags are closed in order, and collects text by class."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tokens: list[list[str]] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.addresses += [value for name, value in attrs if name in ("src", "href") and value is not None]
        if (values.get("class") or "").startswith("token") and tag == "span":
            self.tokens.append([])
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.tokens and "span" in self.open and data.strip():
            self.tokens[-1].append(data)


def parsed(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    return tags


def test_every_word_stands_over_the_layer_it_left_at() -> None:
    text = page("Samples", ["One image."], [LAMP], 4)
    tokens = parsed(text.split("<main>")[1].split("</main>")[0]).tokens
    assert tokens == [["a", "1"], ["blue", "4"], ["lamp", "2"], ["end", "1"]]
    assert text.count('class="token last"') == 2, "the word that ran through all layers, and the legend's"
    assert "2.0 layers a token, other words" in text


def test_the_page_needs_nothing_else_and_shows_words_as_words() -> None:
    text = page("Samples <1>", ["a & b"], [LAMP], 4)
    assert [address[:23] for address in parsed(text).addresses] == ["data:image/jpeg;base64,"]
    assert "http" not in text and "<script" not in text and "url(" not in text
    assert "A &lt;b&gt;red&lt;/b&gt; lamp hums ." in text
    assert 'alt="lamp &quot;1&quot;.jpg"' in text


def test_words_and_layers_are_as_many() -> None:
    with pytest.raises(ValueError, match="lamp: 2 words, but 1 layers"):
        Sample("lamp", b"", (), ("a",), ("a", "lamp"), (1,))


def luminance(colour: str) -> float:
    """Of WCAG 2."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("name", ["ink", "soft", "early", "last"])
def test_text_can_be_read_on_light_and_on_dark_paper(theme: int, name: str) -> None:
    colours = [dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in STYLE.split("@media")][theme]
    lighter, darker = sorted((luminance(colours[name]), luminance(colours["paper"])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


# --- tables and the one command ------------------------------------------------------------------------------------


def scores(bleu: float, **more: object) -> dict[str, object]:
    return {**{f"BLEU-{order}": bleu for order in range(1, 5)}, "CIDEr": 0.5, **more}


def small_results() -> dict[str, object]:
    difference = {score: {"difference": -0.01, "standardError": 0.002} for score in ("BLEU-4", "CIDEr")}
    faster = {
        "layersPerTokenSpeedUp": 2.0,
        "tokenMultiplyAddsPerCaptionSpeedUp": 1.5,
        "multiplyAddsPerCaptionSpeedUp": 1.25,
    }
    return {
        "final": {"test": scores(0.2), "tune": scores(0.2)},
        "truncated": ["static-2"],
        "chosen": {"beem-cost": "beem-cost-1-full-0.5"},
        "test": {name: scores(0.19, difference=difference, **faster) for name in ("static-2", "beem-cost-1-full-0.5")},
        "tune": {"beem-cost-1-full-0.5": scores(0.18)},
    }


def test_a_row_tells_what_is_lost_with_its_error_and_how_fast_it_is() -> None:
    results = small_results()
    rows = table_rows(results, "static-2")
    assert rows == {"truncated after layer 2": "static-2", "BEEM-C": "beem-cost-1-full-0.5", "certified": "static-2"}
    lines = policy_table(results, {"static-2": {"speedUp": 1.75}}, rows).splitlines()
    assert "| full decoder | .200 | .200 | .200 | .200 | .500 |  |  | 1.00x | 1.00x | 1.00x | 1.00x |" == lines[2]
    assert "| -5.0 % ± 1.0 | -2.0 % ± 0.4 | 2.00x | 1.50x | 1.25x | 1.75x |" in lines[3]
    assert lines[4].endswith("| 1.25x |  |"), "a policy that was not timed"


def test_the_certificate_is_put_into_words() -> None:
    report = {
        "candidate": "static-2",
        "candidates": [{"isTested": True}, {"isTested": False}],
        "certificate": {
            "samples": 40,
            "allowedGap": 0.02,
            "failureProbability": 0.05,
            "pValue": 0.0123,
            "measuredLoss": {"name": "1 - score"},
        },
        "certify": {"loss": 0.71, "referenceLoss": 0.7, "worse": 7, "better": 5, "speedUp": 1.4},
    }
    text = certificate_text(report)
    assert "the mean of 1 - score is at most 0.02 above" in text
    assert "1 candidates tested" in text and "p = 0.012" in text
    assert certificate_text({**report, "certificate": None}) == "Nothing could be certified; 1 candidates were tested."
    assert certificate_text(None) == "Nothing was certified."


def test_the_clock_is_told_with_the_load_it_was_read_under() -> None:
    timing = {"inputs": {"images": 9}, "loadAverage": [0.5, 1.25], "final": {"secondsPerCaption": 0.0704}}
    assert "9 test images" in clock_text(timing) and "70 ms a caption" in clock_text(timing)
    assert clock_text(timing).endswith("Load average of the machine: 0.5 before, 1.25 after.")
    assert clock_text({**timing, "loadAverage": [None, None]}).endswith("the best of three rounds counts.")


def test_the_best_of_the_chosen_is_the_one_with_the_least_loss() -> None:
    results = small_results()
    results["chosen"] = {"beem-cost": "a", "patience": "b"}
    results["tune"] = {"a": scores(0.17), "b": scores(0.19)}
    assert run.best_of(results) == "b"
    with pytest.raises(CaptionError, match="nothing was fast enough"):
        run.best_of({**results, "chosen": {}})


def test_tables_go_between_their_marks_and_nowhere_else() -> None:
    text = "before\n<!-- results: written by run.py -->\nold\n<!-- end of results -->\nafter\n"
    assert run.replaced(text, "results", r"new \1") == text.replace("old", r"new \1")
    with pytest.raises(CaptionError, match="no lines '<!-- search: written by run.py -->'"):
        run.replaced(text, "search", "new")


def test_a_second_certificate_from_the_same_images_is_refused(tmp_path: Path) -> None:
    options = run.parse_arguments(
        ["--data", "none", "--work", str(tmp_path / "work"), "--checkpoints", str(tmp_path), "--name", "made-up"]
    )
    this = run.Run(options)
    this.work.mkdir()
    this.checkpoint.mkdir()
    (this.work / "losses.csv").write_text("candidate,sample,split,loss,reference_loss,cost\n")
    report = this.checkpoint / "certificate.json"
    report.write_text(json.dumps({"losses": "of another table", "candidate": None}))
    with pytest.raises(CaptionError, match="speaks of other losses"):
        this.certify()
    report.write_text(json.dumps({"losses": run.digest(this.work / "losses.csv"), "candidate": None}))
    this.certify()
    assert run.certified_candidate(this.checkpoint) is None
    assert sorted(path.name for path in this.checkpoint.iterdir()) == ["certificate.json"]


def test_a_script_that_fails_ends_the_run_with_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--data", str(tmp_path / "nowhere"), "--work", str(tmp_path / "work")]) == 2
    assert "features.py: ended with exit code" in capsys.readouterr().err
