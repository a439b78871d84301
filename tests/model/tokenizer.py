"""A byte-pair vocabulary in the form of SentencePiece, as llama.cpp's tokenizer model "llama" reads it.

Words carry their leading space as U+2581. The score of a token is minus the rank of its merge, so that the greedy
best-score merging of llama.cpp and the rank order of byte-pair encoding are the same thing. Characters outside the
vocabulary fall back to bytes.
"""

import re
from collections import Counter

SPACE = "\u2581"
UNIT = re.compile(rf"{SPACE}?[A-Za-z]+|{SPACE}?[^A-Za-z{SPACE}]|{SPACE}")
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6


def units(text: str):
    """The pieces of a text across which no merge goes: a word or a punctuation mark, with the space before it."""
    return UNIT.findall(SPACE + text.replace(" ", SPACE))


class Tokenizer:
    """Token number <-> text, with `tokens`, `scores` and `types` ready for a GGUF file."""

    BOS, EOS = 1, 2

    def __init__(self, texts, size):
        words = Counter(u for t in texts for u in units(t))
        split = {w: tuple(w) for w in words}
        letters = sorted({c for w in words for c in w})
        merges = []
        while 3 + 256 + len(letters) + len(merges) < size:
            pairs = Counter()
            for w, parts in split.items():
                for pair in zip(parts, parts[1:]):
                    pairs[pair] += words[w]
            if not pairs:
                raise ValueError(f"the text has no more pairs to merge: choose a vocabulary of {len(merges)} merges")
            best = max(pairs, key=lambda p: (pairs[p], p))
            merges.append("".join(best))
            split = {w: merge(parts, best) for w, parts in split.items()}
        special = ["<unk>", "<s>", "</s>"]
        self.tokens = special + [f"<0x{b:02X}>" for b in range(256)] + merges + letters
        self.scores = [0.0] * (3 + 256) + [-float(i) for i in range(len(merges) + len(letters))]
        self.types = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * (len(merges) + len(letters))
        self.ids = {t: i for i, t in enumerate(self.tokens)}
        self.cache = {}

    def encode(self, text):
        """Token numbers of a text, without the beginning-of-sequence token."""
        return [i for u in units(text) for i in self.encode_unit(u)]

    def encode_unit(self, unit):
        if unit not in self.cache:
            parts = list(unit)
            while True:
                best = max(
                    (i for i in range(len(parts) - 1) if parts[i] + parts[i + 1] in self.ids),
                    key=lambda i: (self.scores[self.ids[parts[i] + parts[i + 1]]], -i),
                    default=None,
                )
                if best is None:
                    break
                parts[best : best + 2] = [parts[best] + parts[best + 1]]
            self.cache[unit] = [i for p in parts for i in self.encode_part(p)]
        return self.cache[unit]

    def encode_part(self, part):
        return [self.ids[part]] if part in self.ids else [3 + b for b in part.encode()]

    def decode(self, ids):
        """The text of these tokens; control tokens are left out."""
        data = b"".join(
            bytes([i - 3]) if self.types[i] == BYTE else self.tokens[i].encode() for i in ids if self.types[i] != CONTROL
        )
        return data.decode(errors="replace").replace(SPACE, " ").removeprefix(" ")


def merge(parts, pair):
    out, i = [], 0
    while i < len(parts):
        if parts[i : i + 2] == pair:
            out.append(parts[i] + parts[i + 1])
            i += 2
        else:
            out.append(parts[i])
            i += 1
    return tuple(out)
