"""Draws docs/error-per-exit.svg from the shipped evaluations: error rate of every exit with its exact 95 % interval on the
test split, against the certified policy. Needs gnuplot.

usage: python3 docs/error_per_exit.py
"""

import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECIPES = [("movie-reviews", "Movie reviews"), ("trec-questions", "TREC questions")]
POINTS, POLICY, FINAL = "#0072b2", "#d55e00", "#666666"


def panel(recipe: str, title: str) -> str:
    evaluation = json.loads((ROOT / "checkpoints" / recipe / "evaluation.json").read_text())
    policy = json.loads((ROOT / "checkpoints" / recipe / "policy.json").read_text())
    rows = []
    for exit_ in evaluation["exits"]:
        test = exit_["splits"]["test"]
        rows.append(f"{exit_['index'] + 1} {100 * test['errorRate']} " + " ".join(f"{100 * end}" for end in test["interval"]))
    count, test = len(rows), policy["test"]
    layers = count / test["speedUp"]
    data = "\n".join(rows)
    return f"""
$exits << END
{data}
END
set title "{title}"
set xrange [0:{count + 1}]
set arrow 1 from first {layers}, first 6.5 to first {layers}, first {100 * test['error'] - 0.9} linecolor rgb "{POLICY}"
set label 1 "certified policy: {100 * test['error']:.1f} % at {test['speedUp']:.2f}x the speed" at first {layers - 3.2}, \
first 5.5 textcolor rgb "{POLICY}"
plot {100 * test['finalError']} with lines linewidth 1 dashtype 2 linecolor rgb "{FINAL}" title "final layer", \
  $exits using 1:2:3:4 with yerrorbars pointtype 7 pointsize 0.5 linewidth 1.5 linecolor rgb "{POINTS}" title "one exit for all samples", \
  "+" using ({layers}):({100 * test['error']}) every ::0::0 with points pointtype 9 pointsize 1.2 linecolor rgb "{POLICY}" title "certified early exit"
unset label 1
unset arrow 1
"""


def main() -> None:
    script = f"""
set terminal svg size 920,400 dynamic font "Helvetica,13" background rgb "white"
set output "{ROOT / 'docs' / 'error-per-exit.svg'}"
set multiplot layout 1,2 margins 0.07,0.98,0.17,0.9 spacing 0.08
set xlabel "layers run, mean over samples"
set ylabel "error rate on test, %"
set key top right
set grid ytics linecolor rgb "#dddddd"
set border 3
set tics nomirror
set yrange [0:*]
""" + "".join(panel(*recipe) for recipe in RECIPES) + "unset multiplot\n"
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


if __name__ == "__main__":
    main()
