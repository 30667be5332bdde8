"""Writes test/golden/scores.json: ROUGE as rouge-score has it, its stems, and SQuAD's F1 and exact match, of made-up texts.

    pip install rouge-score==0.1.2 nltk==3.9.2 transformers==4.57.3 && python scripts/make-scores-golden.py
"""
import json
import random
from pathlib import Path

from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer
from transformers.data.metrics.squad_metrics import compute_exact, compute_f1

rng = random.Random(20)
ROUGES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
plain, stemmed = RougeScorer(ROUGES), RougeScorer(ROUGES, use_stemmer=True)
porter = PorterStemmer()

ENDINGS = (
    "s es ies sses ss ed eed ied ing ings y ational tional enci anci izer izers bli abli alli entli eli ousli ization ation ator alism "
    "iveness fulness ousness aliti iviti biliti fulli fully logi logy icate ative alize iciti ical ful ness al ance ence er ic able ible ant "
    "ement ment ent ion sion tion ou ism ate iti ous ive ize e ll lling lled tted at ated bl bled iz ized ly ally ically ousnesses"
).split()
ONSETS = "b bl c ch d f fl g h k l m n p pl qu r s sk spr st t th tr v w x y z".split()
RHYMES = "a ai e ee i o oo u ay ey oy y an en in on un ar er or at et it ot oll ell iss ass izz ex ow aw".split()


def root():
    return "".join(rng.choice(ONSETS) + rng.choice(RHYMES) for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3])))


words = "sky skies dying lying tying news innings inning outing canning cannings howe proceed exceed succeed byyed ayying 1sts r2d2s".split()
while len(words) < 3000:
    word = root() + rng.choice(["", *ENDINGS]) + rng.choice(["", "", *ENDINGS])
    if len(word) > 3:
        words.append(word)
words = sorted(set(words))

POOL = (
    "the a an The whale whales whaling Whaled sea seas captain captain's captains enjoy enjoyed enjoyment die dies dying sail sailing sailed "
    "relational rational flies 1851 42 3.5 don't it's ship-wreck harpooneer naïve café Ärger straße İzmir ΣΟΦΟΣ ſtill Kelvin ﬁn 東京 "
    "Москва 😀 a_b x² ½ — ... !? (and) \"or\" & % $5 e-mail was wa its any gas ga me@sea [b] {c} ~d `e` ^f #g *h +i =j <k> |l |m; n\\o"
).split()
GAPS = [" "] * 12 + ["\n", "\n", ". ", ", ", "  ", "\t", ".\n", "\u00a0", "\u2003", "\u001c", "\ufeff", "", "-"]


def text(most):
    found = ""
    for _ in range(rng.randrange(most)):
        found += rng.choice(POOL) + rng.choice(GAPS)
    return found


def changed(of):
    parts = of.split(" ")
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(parts) + 1)
        parts[at : at + rng.randrange(3)] = [text(4)] if rng.random() < 0.5 else []
    if rng.random() < 0.2:
        rng.shuffle(parts)
    return " ".join(parts)


EDGES = ["", " ", "\n", "...", "the", "A", "a b c", "The b, c!", "a\nb\nc", "c b a", "b b b b", "\n\nb\n\nc\n", "東京", "the_cat", "bc", "b@c", "~b?c", "thé cat", "aé b", "x\u001cy", "x\ufeffy", "١٢"]
pairs = [(said, answer) for said in EDGES for answer in EDGES if rng.random() < 0.5]
while len(pairs) < 620:
    answer = text(rng.choice([6, 14, 26]))
    pairs.append((changed(answer) if rng.random() < 0.8 else text(12), answer))


def case(said, answer):
    scores = [scorer.score(answer, said)[kind].fmeasure for scorer in (plain, stemmed) for kind in ROUGES]
    return [said, answer, *scores, compute_f1(answer, said), compute_exact(answer, said)]


out = {
    "about": "rouge-score 0.1.2, nltk 3.9.2, transformers 4.57.3; cases: said, answer, F of rouge1, rouge2, rougeL, rougeLsum, the same of stems, SQuAD's F1 and exact match",
    "stems": {word: porter.stem(word) for word in words},
    "cases": [case(*pair) for pair in pairs],
}
path = Path(__file__).parent.parent / "test/golden/scores.json"
path.write_text(json.dumps(out, ensure_ascii=True, separators=(",", ":")) + "\n")
print(len(words), "stems,", len(pairs), "cases,", path.stat().st_size, "bytes")
