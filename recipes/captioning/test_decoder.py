"""Tests of the captioner and its decoder, on small random ones; left out without torch."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "src"))

import numpy as np
from beem_policy import ExitSession
from captions import END, PAD, SPECIALS, START, UNKNOWN, CaptionError, Vocabulary
from costs import Costs
from cpu import ByteDropout
from decoder import Decoder, LowRankHead, Plan
from heads import Teacher, factored, fit
from model import Captioner, Shape, TokenBatch, load_captioner, save_captioner
from policies import Candidate, policy_of

WORDS = (*SPECIALS, *(f"word{number}" for number in range(36)))
SMALL = Shape(
    vocabulary=len(WORDS), layers=4, width=32, heads=2, inner=64, positions=9, cells=6, cell_width=8, head_width=16
)


def small_captioner(seed: int = 1) -> Captioner:
    torch.manual_seed(seed)
    model = Captioner(SMALL)
    model.head_weight.normal_()
    with torch.no_grad():
        # Sharper than at the start of a training, so that confidences differ from token to token.
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(2.5)
        model.embedding.weight.normal_(std=0.3)
        model.position.normal_(std=3)
    return model.eval()


def cells(count: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(count, SMALL.cells, SMALL.cell_width, generator=torch.Generator().manual_seed(seed))


def plan(model: Captioner, rule: str, layers: tuple[int, ...], threshold: float) -> Plan:
    errors = {layer: 0.5 for layer in range(1, SMALL.layers + 1)}
    return Plan.of(policy_of(Candidate(rule, layers, threshold), WORDS, SMALL.layers, errors, "0"), model)


def policies(model: Captioner) -> list[Plan]:
    return [
        Plan.truncated(4),
        Plan.truncated(2),
        plan(model, "max-probability", (1, 2, 3), 0.35),
        plan(model, "beem-accuracy", (1, 2, 3), 0.3),
        plan(model, "beem-cost", (2, 3), 0.3),
        plan(model, "patience", (1, 2, 3), 1),
    ]


# --- training and generating give the same --------------------------------------------------------------------------


def test_full_decoder_gives_the_words_that_teacher_forcing_finds_likeliest() -> None:
    model = small_captioner()
    images = cells(5)
    captions = Decoder(model).captions(images, Plan.truncated(4))
    batch = TokenBatch.of([[caption.tokens] for caption in captions])
    with torch.inference_mode():
        logits = model.logits(3, model.hidden_states(images, batch)[3])
        logits[:, [PAD, START, UNKNOWN]] = -1e9
    assert logits.argmax(-1).tolist() == [token for caption in captions for token in caption.tokens]


def test_captions_of_an_image_do_not_see_each_other_nor_what_comes_later() -> None:
    model = small_captioner()
    images = cells(2)
    one, other = [[5, 6, 7, END], [8, END]], [[9, 10, 11, 12, END], [13, 14, END]]
    with torch.inference_mode():
        together = model.hidden_states(images, TokenBatch.of([one, other]))[3]
        alone = model.hidden_states(images[1:], TokenBatch.of([[other[0][:2]]]))[3]
    # Rows 6 and 7: `one` has 4 and 2 tokens.
    torch.testing.assert_close(together[6:8], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("number", range(6))
def test_one_image_at_a_time_is_the_same_as_many(number: int) -> None:
    model = small_captioner()
    decoder, chosen = Decoder(model), policies(model)[number]
    images = cells(12)
    together = decoder.captions(images, chosen)
    alone = [decoder.caption(image, chosen) for image in images]
    assert together == alone
    depths = {depth for caption in together for depth in caption.depths}
    # Else the case says nothing about skipped layers.
    assert len(depths) > 1 or chosen.policy is None


def test_keys_of_skipped_layers_come_from_the_state_a_token_left_with() -> None:
    """The same caption by hand: a full pass over all positions, in which layers above an exit see the exit's state."""
    model = small_captioner()
    decoder, chosen = Decoder(model), plan(model, "max-probability", (1, 2, 3), 0.35)
    images = cells(12)
    captions = decoder.captions(images, chosen)
    # One with a deep token after a shallow one, as only there keys are made up for.
    number = next(n for n, caption in enumerate(captions) if sorted(caption.depths, reverse=True) != caption.depths)
    image, caption = images[number : number + 1], captions[number]
    with torch.inference_mode():
        memory = model.memory(image)
        tokens = torch.tensor([START, *caption.tokens[:-1]])
        hidden = model.embed(tokens, torch.arange(len(tokens)))
        batch = TokenBatch.of([[caption.tokens]])
        depths = torch.tensor(caption.depths)
        for index, layer in enumerate(model.layers):
            # A frozen state is fed to the layer, which makes keys and values of it; what the layer adds is dropped.
            hidden = torch.where((depths > index)[:, None], layer(hidden, memory, batch), hidden)
        for row, (depth, token) in enumerate(zip(caption.depths, caption.tokens)):
            logits = decoder.logits(depth, hidden[row : row + 1])
            assert int(logits.argmax()) == token


@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_with_keys_of_their_own_tokens_leave_as_under_teacher_forcing(number: int) -> None:
    model = small_captioner()
    images, here = cells(6), policies(model)[number]
    own = Decoder(model, propagates=False)
    captions = own.captions(images, here)
    assert len({depth for caption in captions for depth in caption.depths}) > 1
    batch = TokenBatch.of([[caption.tokens] for caption in captions])
    with torch.inference_mode():
        states = model.hidden_states(images, batch)
        logits = {layer: own.logits(layer, states[layer - 1]).numpy() for layer in here.layers}
    tokens = [token for caption in captions for token in caption.tokens]
    depths = [depth for caption in captions for depth in caption.depths]
    assert here.policy is not None
    for place, (token, depth) in enumerate(zip(tokens, depths)):
        session = ExitSession(here.policy)
        decisions = [session.observe_logits(logits[layer][place]) for layer in here.layers if layer <= depth]
        assert [decision is None for decision in decisions] == [True] * (len(decisions) - 1) + [False]
        assert decisions[-1] is not None and decisions[-1].label == token


def test_static_policy_is_the_truncated_decoder_and_evaluates_one_head_a_token() -> None:
    model = small_captioner()
    chosen = plan(model, "static", (2,), 0)
    captions = Decoder(model).captions(cells(4), chosen)
    assert captions == Decoder(model).captions(cells(4), Plan.truncated(2))
    assert all(caption.heads == len(caption.tokens) and set(caption.depths) == {2} for caption in captions)


def test_a_threshold_never_met_gives_the_full_decoders_words_and_costs_the_heads() -> None:
    model = small_captioner()
    full = Decoder(model).captions(cells(4), Plan.truncated(4))
    never = Decoder(model).captions(cells(4), plan(model, "max-probability", (2, 3), 1.5))
    assert [caption.tokens for caption in never] == [caption.tokens for caption in full]
    for caption, other in zip(never, full):
        assert caption.operations - other.operations == 2 * len(caption.tokens) * Costs(SMALL).head()


# --- costs ---------------------------------------------------------------------------------------------------------


def test_multiply_adds_of_one_token_through_two_layers_are_counted_by_hand() -> None:
    shape = Shape(vocabulary=10, layers=2, width=4, heads=2, inner=8, positions=1, cells=3, cell_width=5, head_width=6)
    model = Captioner(shape).eval()
    caption = Decoder(model).caption(torch.randn(3, 5), Plan.truncated(2))
    image = 3 * (5 * 6 + 6 * 4)
    image_keys = 3 * 2 * 16
    layer = 4 * 16 + 2 * 16 + 2 * 4 * 8 + 2 * 4 * 1 + 2 * 4 * 3  # self, cross, feed-forward, two attentions
    head = 16 + 4 * 10
    assert caption.operations == 2 * layer + head
    assert caption.image_operations == image + 2 * image_keys


def test_with_2917_words_a_head_costs_as_much_as_most_of_a_layer() -> None:
    costs = Costs(Shape(vocabulary=2917))
    assert 0.84 < costs.head_in_layers() < 0.88
    assert 0.20 < costs.head_in_layers(64) < 0.23


# --- heads, files, mistakes ----------------------------------------------------------------------------------------


def test_a_factored_head_of_full_rank_is_the_head_and_fitting_improves_a_low_rank_one() -> None:
    generator = torch.Generator().manual_seed(3)
    matrix, states = torch.randn(20, 8, generator=generator), torch.randn(500, 8, generator=generator)
    up, down = factored(matrix, states, 8)
    torch.testing.assert_close(up @ down, matrix, rtol=1e-4, atol=1e-4)
    up, down = factored(matrix, states, 2)
    bias = torch.zeros(20)
    wanted = (states @ matrix.T).softmax(-1)

    def loss(head: LowRankHead) -> float:
        logits = states @ head.down.T @ head.up.T + head.bias
        return float(torch.nn.functional.cross_entropy(logits, wanted))

    first = LowRankHead(down, up, bias)
    assert loss(fit(first, Teacher(matrix, bias, states), states, 200, seed=1)) < loss(first) - 0.05


def test_a_captioner_survives_its_file_but_for_rounding(tmp_path: Path) -> None:
    model = small_captioner()
    save_captioner(tmp_path / "captioner.safetensors", model, Vocabulary(WORDS), {})
    read, vocabulary = load_captioner(tmp_path / "captioner.safetensors")
    assert vocabulary.words == WORDS
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(read.state_dict()[name], tensor.half().float(), rtol=0, atol=0)
    assert [path.name for path in tmp_path.iterdir()] == ["captioner.safetensors"]


def test_a_policy_of_other_layers_or_words_is_refused() -> None:
    model = small_captioner()
    short = policy_of(Candidate("max-probability", (1,), 0.5), WORDS, 3, {}, "0")
    with pytest.raises(CaptionError, match="the last 4"):
        Plan.of(short, model)
    other = policy_of(Candidate("max-probability", (1,), 0.5), WORDS[:-1], 4, {}, "0")
    with pytest.raises(CaptionError, match="39 classes; the captioner has 40 words"):
        Plan.of(other, model)


def test_dropout_of_bytes_drops_its_share_keeps_the_mean_and_is_off_in_evaluation() -> None:
    dropout = ByteDropout(0.2, np.random.default_rng(4))
    rows = torch.ones(1000, 100)
    dropped = dropout(rows)
    share = float((dropped == 0).float().mean())
    # 51 of 256; five standard errors of 100,000 draws.
    assert abs(share - 51 / 256) < 5 * (0.2 * 0.8 / 100_000) ** 0.5
    assert abs(float(dropped.mean()) - 1) < 0.01
    assert torch.equal(dropout.eval()(rows), rows)
