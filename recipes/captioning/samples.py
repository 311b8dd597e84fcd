"""A page of sample images with both captions and the exit of every token, as one HTML file; nothing but text goes in here.

No torch is needed: images come as bytes, captions as words and layers.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

END_WORD = "<end>"


@dataclass(frozen=True)
class Sample:
    """An image with what the full decoder and a policy say of it."""

    name: str
    jpeg: bytes
    references: tuple[str, ...]
    final: tuple[str, ...]
    """The words of the full decoder, `<end>` last where it came."""
    early: tuple[str, ...]
    layers: tuple[int, ...]
    """By word of `early`: how many layers it ran through."""

    def __post_init__(self) -> None:
        if len(self.early) != len(self.layers):
            raise ValueError(f"{self.name}: {len(self.early)} words, but {len(self.layers)} layers")

    @property
    def is_same(self) -> bool:
        return self.final == self.early


def page(title: str, notes: Sequence[str], samples: Sequence[Sample], layer_count: int) -> str:
    """The whole page. `notes` stand above the images, a paragraph each; `layer_count` is the full decoder's."""
    paragraphs = "\n".join(f"<p>{escape(note)}</p>" for note in notes)
    figures = "\n".join(figure(sample, layer_count) for sample in samples)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
{paragraphs}
{legend(layer_count)}
</header>
<main>
{figures}
</main>
</body>
</html>
"""


def legend(layer_count: int) -> str:
    """One sample for the first layer, the middle and the last."""
    middle = (layer_count + 1) // 2
    shown = [("early", 1), ("halfway", middle), ("all layers", layer_count)]
    tokens = "".join(token(word, layers, layer_count) for word, layers in dict.fromkeys(shown))
    return (
        f'<p class="legend"><span>Under each word: the layer it left at, of {layer_count}, and the bar for it. '
        f"A word that ran through all of them has the other colour.</span> {tokens}</p>"
    )


def token(word: str, layers: int, layer_count: int) -> str:
    """A word over its layer and a bar, as long as its part of the layers."""
    kind = "token last" if layers == layer_count else "token"
    shown = '<span class="end">end</span>' if word == END_WORD else escape(word)
    return (
        f'<span class="{kind}" title="layer {layers} of {layer_count}">{shown}'
        f'<small style="--part:{100 * layers / layer_count:.4g}%">{layers}</small></span> '
    )


def figure(sample: Sample, layer_count: int) -> str:
    image = base64.b64encode(sample.jpeg).decode("ascii")
    final = escape(" ".join(word for word in sample.final if word != END_WORD))
    early = "".join(token(word, layers, layer_count) for word, layers in zip(sample.early, sample.layers))
    mean = sum(sample.layers) / max(1, len(sample.layers))
    verdict = "the same words" if sample.is_same else "other words"
    references = "".join(f"<li>{escape(text)}</li>" for text in sample.references)
    return f"""<figure>
<img src="data:image/jpeg;base64,{image}" alt="{escape(sample.name)}">
<figcaption>
<dl>
<dt>Full decoder <span class="fact">{layer_count} layers a token</span></dt>
<dd>{final}</dd>
<dt>With exits <span class="fact">{mean:.1f} layers a token, {verdict}</span></dt>
<dd class="tokens">{early}</dd>
</dl>
<details><summary>Captions by people ({len(sample.references)})</summary><ul>{references}</ul></details>
</figcaption>
</figure>"""


STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfb; --ink: #1c1d1f; --soft: #585b61; --line: #d9dadd;
  --early: #1f6feb; --last: #c2410c; --track: #e3e5e9; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181b; --ink: #e9eaec; --soft: #a3a7ae; --line: #34373c;
    --early: #6aa8ff; --last: #ff9a5c; --track: #34373c; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .75rem; }
header p { max-width: 46rem; margin: .4rem 0; }
.legend { color: var(--soft); margin-top: 1rem; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); gap: 2.25rem 2rem;
  margin-top: 2rem; }
figure { margin: 0; border-top: 1px solid var(--line); padding-top: 1rem; }
img { display: block; width: 100%; max-width: 16rem; height: auto; border-radius: 4px; background: var(--track); }
dl { margin: .9rem 0 .5rem; }
dt { font-weight: 600; margin-top: .7rem; }
dd { margin: .15rem 0 0; }
.fact { font-weight: 400; color: var(--soft); font-size: .875rem; margin-left: .35rem; }
.tokens, .legend { line-height: 2.7; }
.legend > span:first-child { display: block; line-height: 1.5; }
.token { display: inline-flex; flex-direction: column; line-height: 1.3; margin-right: .15rem; vertical-align: top;
  color: var(--ink); }
.token small { font-size: .75rem; line-height: 1.15; padding-top: .3rem; color: var(--early); min-width: 1.1rem;
  font-variant-numeric: tabular-nums; font-weight: 600;
  background: linear-gradient(to right, currentColor var(--part), var(--track) var(--part)) top / 100% 4px no-repeat; }
.token.last small { color: var(--last); }
.end { color: var(--soft); font-style: italic; }
details { color: var(--soft); font-size: .9375rem; }
summary { cursor: pointer; }
ul { margin: .4rem 0 0; padding-left: 1.2rem; }
"""
