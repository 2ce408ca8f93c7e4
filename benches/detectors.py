#!/usr/bin/env python3
"""Precision and recall of hoopctl's detectors and of Presidio's recognisers on the same labelled rows.

Takes a file that `cargo bench --bench detectors` wrote: in each line a row, its labels, and what hoopctl found. A label is
found when every letter and digit of it is covered; what is found is right when it overlaps a label of its kind. Fails when
hoopctl finds a smaller share of a kind that both know than Presidio.

Presidio runs with its recognisers of patterns and a blank spaCy pipeline, which splits text into words: its models are not
in PyPI, and none of these recognisers needs one. Words count as their own lemmas, so that context works. The name of a field's column is given as context.
"""

import collections
import json
import logging
import sys
import time

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer import predefined_recognizers as known
from presidio_analyzer.nlp_engine import SpacyNlpEngine

KINDS = {
    "card": ("CREDIT_CARD", known.CreditCardRecognizer),
    "email": ("EMAIL_ADDRESS", known.EmailRecognizer),
    "iban": ("IBAN_CODE", known.IbanRecognizer),
    "ip": ("IP_ADDRESS", known.IpRecognizer),
    "phone": ("PHONE_NUMBER", known.PhoneRecognizer),
    "ssn": ("US_SSN", known.UsSsnRecognizer),
}


class Words(SpacyNlpEngine):
    """Splits text into words, each its own lemma."""

    def load(self):
        nlp = spacy.blank("en")
        nlp.add_pipe("own_lemmas")
        self.nlp = {"en": nlp}


@spacy.Language.component("own_lemmas")
def own_lemmas(doc):
    for token in doc:
        token.lemma_ = token.text.lower()
    return doc


def analyzer():
    # the list of top-level domains that comes with it, instead of one from the network
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    engine = Words()
    engine.load()
    registry = RecognizerRegistry(recognizers=[make() for _, make in KINDS.values()], supported_languages=["en"])
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])


class Score:
    def __init__(self):
        self.labels = self.covered = self.found = self.right = 0

    def count(self, text, labels, found):
        for start, end in labels:
            self.labels += 1
            visible = (at for at in range(start, end) if text[at].isalnum())
            self.covered += all(any(a <= at < b for a, b in found) for at in visible)
        for start, end in found:
            self.found += 1
            self.right += any(a < end and start < b for a, b in labels)

    def recall(self):
        return self.covered / self.labels if self.labels else None

    def precision(self):
        return self.right / self.found if self.found else None


def presidio(rows):
    """What it finds in each row, by kind, with scores; and how many bytes it takes in a second."""
    engine = analyzer()
    names = {entity: kind for kind, (entity, _) in KINDS.items()}
    found, size, begun = [], 0, time.thread_time()
    for row in rows:
        context = (row["column"] or "").replace("_", " ").split()
        places = engine.analyze(row["text"], "en", entities=list(names), context=context)
        found.append([(names[place.entity_type], place.start, place.end, place.score) for place in places])
        size += len(row["text"])
    return found, size / (time.thread_time() - begun)


def table(rows, theirs):
    """Prints the shares of each kind. Gives the kinds of which Presidio finds more."""
    scores = collections.defaultdict(Score)
    for row, found in zip(rows, theirs):
        for kind, places in row["found"].items():
            labels = [(start, end) for of, start, end in row["labels"] if of == kind]
            scores["ours", kind].count(row["text"], labels, places)
            if kind in KINDS:
                for least in (0, 0.4):
                    places = [(start, end) for of, start, end, score in found if of == kind and score >= least]
                    scores[least, kind].count(row["text"], labels, places)
    show = lambda share: "" if share is None else f"{share:.4f}"
    print("| | labels | hoopctl: recall | precision | Presidio: recall | precision | from 0.4: recall | precision |")
    print("|---|---|---|---|---|---|---|---|")
    behind = []
    for kind in sorted(rows[0]["found"]):
        ours, cells = scores["ours", kind], []
        for whose in ("ours", 0, 0.4):
            score = scores[whose, kind] if (whose, kind) in scores else Score()
            cells += [show(score.recall()), show(score.precision())]
        print(f"| `{kind}` | {ours.labels} | " + " | ".join(cells) + " |")
        if kind in KINDS and ours.recall() < scores[0, kind].recall():
            behind.append(kind)
    return behind


def main():
    rows = [json.loads(line) for line in open(sys.argv[1], encoding="ascii")]
    theirs, rate = presidio(rows)
    behind = []
    for name in ("known", "unseen"):
        chosen = [number for number, row in enumerate(rows) if row["set"] == name]
        print(f"\n{len(chosen)} rows of {name} shapes\n")
        behind += table([rows[number] for number in chosen], [theirs[number] for number in chosen])
    print(f"\nPresidio: {rate / 1e6:.3f} MB/s of {sum(len(row['text']) for row in rows) / 1e6:.1f} MB, one thread")
    if behind:
        sys.exit(f"Presidio finds more of: {', '.join(behind)}")


if __name__ == "__main__":
    main()
